// One photo at full size, or up to four side by side, with one zoom for all.

class Closer {
  constructor(album, list, decides, prefers) {
    this.album = album;
    this.list = list;
    this.decides = decides;
    this.prefers = prefers;
    this.dialog = $('closer');
    this.panes = 1;
    this.first = 0;
    this.zoomed = false;
    /** What of the pictures lies in the middle while they are zoomed, in parts of their sides. */
    this.middle = [0.5, 0.5];
    this.message = '';
    /** Two photos that a question is about, and at which of them one is; null outside of questions. */
    this.question = null;
    this.at = 0;
    this.dialog.addEventListener('close', () => {
      this.question = null;
      this.shown = [];
      this.list.root.focus({ preventScroll: true });
    });
    addEventListener('resize', () => this.lay());
    this.shown = [];
  }

  get open() {
    return this.dialog.open;
  }

  /** The current photo; in a close call, both photos of it. */
  look() {
    this.show(this.list.cells[this.list.current]?.side === undefined ? 1 : 2);
  }

  /** The photo one is at. */
  get photo() {
    return this.question ? this.question[this.at] : this.list.photo();
  }

  /** The other one of two photos side by side. */
  get other() {
    const others = this.shown.map((pane) => pane.photo).filter((photo) => photo !== this.photo);
    return this.shown.length === 2 && others.length === 1 ? others[0] : null;
  }

  /** Asks which of two photos is better. */
  ask(pair) {
    this.question = pair;
    this.at = 0;
    this.show(2);
  }

  /** The photos side by side: those of a question, or a stretch of the list with the current photo in it. */
  show(panes = this.panes) {
    if (this.question && panes === 2) {
      this.panes = 2;
      this.place(this.question);
      return;
    }
    this.question = null;
    const { cells, current } = this.list;
    if (!cells.length) return;
    this.panes = Math.min(panes, cells.length);
    const { side } = cells[current];
    if (side !== undefined && this.panes === 2) this.first = current - side;
    if (current < this.first || current >= this.first + this.panes) this.first = current;
    this.first = Math.max(0, Math.min(this.first, cells.length - this.panes));
    if (current >= this.first + this.panes) this.first = current - this.panes + 1;
    this.place(cells.slice(this.first, this.first + this.panes).map((cell) => cell.photo));
  }

  place(photos) {
    const same = this.shown.length === photos.length && photos.every((photo, at) => this.shown[at].photo === photo);
    if (same) this.shown.forEach((pane, at) => this.tell(pane, at));
    else this.draw(photos);
    this.dialog.setAttribute('aria-label', photos.length === 1 ? 'One photo' : this.question ? 'Which of the two is better?' : `${photos.length} photos side by side`);
    if (!this.dialog.open) this.dialog.showModal();
    this.dialog.focus();
    this.lay();
  }

  draw(photos) {
    const box = make('div', 'closer');
    const panes = make('div', `panes of${photos.length}`);
    this.shown = photos.map((photo, at) => this.pane(photo, at));
    panes.append(...this.shown.map((pane) => pane.root));
    this.side = make('div', 'side');
    box.append(panes, this.side);
    // What says aloud where one is stays: a screen reader does not hear what is new.
    this.dialog.lastElementChild.replaceWith(box);
    this.shown.forEach((pane, at) => this.tell(pane, at));
  }

  pane(photo, at) {
    const root = make('div', 'pane');
    root.setAttribute('role', 'group');
    root.dataset.photo = photo.index;
    const frame = make('div', 'frame');
    const hold = make('div', 'hold');
    const small = this.album.thumbnail(photo);
    if (small) {
      // Seen until the whole picture is there.
      const under = make('img');
      under.alt = '';
      under.src = small;
      hold.append(under);
    }
    const image = make('img');
    image.alt = photo.name;
    image.draggable = false;
    const source = this.album.original(photo);
    const label = make('div', 'label');
    const pane = { root, frame, hold, image, label, photo };
    image.addEventListener('load', () => {
      root.dataset.loaded = 'yes';
      this.lay();
    });
    image.addEventListener('error', () => this.fail(pane, source));
    const marks = make('div', 'marks');
    marks.append(...faceMarks(photo));
    hold.append(image, marks);
    frame.append(hold);
    root.append(frame, label);
    if (source) image.src = source;
    else frame.append(make('div', 'none', 'no picture'));
    frame.addEventListener('click', () => {
      if (this.dragged) return;
      if (this.question) this.at = at;
      else this.list.go(this.first + at);
      this.show();
    });
    frame.addEventListener('dblclick', (event) => {
      const rect = hold.getBoundingClientRect();
      this.middle = [(event.clientX - rect.left) / rect.width, (event.clientY - rect.top) / rect.height];
      this.zoom();
    });
    frame.addEventListener('pointerdown', (event) => {
      this.dragged = false;
      if (!this.zoomed) return;
      frame.setPointerCapture(event.pointerId);
      frame.dataset.drag = 'yes';
    });
    frame.addEventListener('pointermove', (event) => {
      if (!frame.dataset.drag) return;
      this.dragged = true;
      this.pan(-event.movementX / hold.offsetWidth, -event.movementY / hold.offsetHeight);
    });
    frame.addEventListener('pointerup', () => delete frame.dataset.drag);
    return pane;
  }

  /** Says why an original is not shown; the small picture stays. */
  async fail(pane, source) {
    if (!this.album.page.served) return;
    const answer = await fetch(source).catch(() => null);
    const why = answer ? (await answer.text()).trim() : 'albumctl has ended';
    const told = `The original cannot be shown: ${why}`;
    pane.frame.append(make('div', 'none', told));
    $('heard').textContent = told;
  }

  tell(pane, at) {
    const { photo } = pane;
    const here = this.question ? at === this.at : this.first + at === this.list.current;
    pane.root.classList.toggle('here', here && this.panes > 1);
    pane.root.setAttribute('aria-current', String(here));
    const picked = photo.rank === null ? 'not picked' : `★ ${photo.rank}`;
    pane.label.textContent = [photo.name, picked, decisionTold[photo.decision]].filter(Boolean).join(' · ');
    pane.root.setAttribute('aria-label', pane.label.textContent);
    if (here) this.tellMore(photo);
  }

  tellMore(photo) {
    const side = this.side;
    side.replaceChildren();
    if (this.question) side.append(make('p', 'asked', 'Which of the two is better? Arrows move, B says it, Q asks something else, Escape ends the questions.'));
    side.append(make('h2', '', photo.name));
    const facts = [photo.rank === null ? 'not picked' : `picked as number ${photo.rank}`, decisionTold[photo.decision], photo.taken_at];
    const line = facts.filter(Boolean).join(' · ');
    $('heard').textContent = this.message.startsWith(photo.name) ? this.message : [this.question && 'Which of the two is better?', photo.name, line, photo.reason].filter(Boolean).join(', ');
    side.append(make('div', 'quiet', line), make('p', 'reason', photo.reason), this.buttons(photo), bars(photo, this.album.filters.filter((filter) => SCORES.includes(filter)), true));
    if (photo.shows.length) side.append(make('p', 'quiet', `Shows: ${photo.shows.join(', ')}`));
    if (photo.text.length) side.append(make('p', 'quiet', `Text: ${photo.text.join(' · ')}`));
    if (photo.met.length) {
      const table = make('table');
      table.setAttribute('aria-label', 'Tie-break');
      for (const met of photo.met) {
        const row = make('tr');
        const word = met.won === null ? 'coin flip' : met.won ? 'won' : 'lost';
        row.append(make('td', '', nameOf(met.path)), make('td', met.won === null ? '' : word, `${word} · ${Math.round(100 * met.confidence)} %`));
        table.append(row);
      }
      side.append(make('h3', 'quiet', 'Tie-break'), table);
    }
    if (photo.link) {
      const link = make('a', 'link', 'Open the original');
      Object.assign(link, { href: photo.link, target: '_blank', rel: 'noopener' });
      const line = make('p');
      line.append(link);
      side.append(line);
    }
    side.append(make('p', 'quiet', photo.path));
    if (this.message) side.append(make('p', 'message', this.message));
  }

  buttons(photo) {
    const box = make('div', 'words');
    for (const [word, label] of [['keep', 'Keep'], ['reject', 'Reject']]) {
      const button = make('button', word, label);
      button.setAttribute('aria-pressed', String(photo.decision === word));
      button.addEventListener('click', () => this.decides(photo, word));
      box.append(button);
    }
    if (this.album.page.served && this.other) {
      const button = make('button', 'better', 'Better');
      button.addEventListener('click', () => this.prefers());
      box.append(button);
    }
    // Without a keyboard there is no Escape.
    const back = make('button', '', 'Back');
    back.addEventListener('click', () => this.close());
    box.append(back);
    return box;
  }

  zoom() {
    this.zoomed = !this.zoomed;
    this.lay();
    $('heard').textContent = this.zoomed ? '100 %' : 'The whole picture';
  }

  pan(x, y) {
    const within = (value) => Math.min(1, Math.max(0, value));
    this.middle = [within(this.middle[0] + x), within(this.middle[1] + y)];
    this.lay();
  }

  /** At 100 % one pixel of the picture is one of the screen. */
  lay() {
    if (!this.dialog.open) return;
    this.dialog.classList.toggle('zoomed', this.zoomed);
    for (const { frame, hold, image, photo } of this.shown) {
      const [width, height] = [frame.clientWidth, frame.clientHeight];
      const [full, tall] = [image.naturalWidth || photo.width || 1, image.naturalHeight || photo.height || 1];
      const whole = Math.min(width / full, height / tall, this.album.page.served ? 1 / devicePixelRatio : Infinity);
      const scale = this.zoomed ? 1 / devicePixelRatio : whole;
      const [w, h] = [full * scale, tall * scale];
      // What is smaller than the frame lies in its middle; what is larger is shown around the point that all share.
      const place = (space, side, middle) => side <= space ? (space - side) / 2 : Math.min(0, Math.max(space - side, space / 2 - middle * side));
      Object.assign(hold.style, {
        width: `${w}px`, height: `${h}px`, left: `${place(width, w, this.middle[0])}px`, top: `${place(height, h, this.middle[1])}px`,
      });
      hold.dataset.percent = Math.round(100 * scale * devicePixelRatio);
    }
  }

  close() {
    this.dialog.close();
  }
}
