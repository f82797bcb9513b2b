// A grid that has only the rows that are seen, however many photos there are.

const GAP = 14;
const PICTURE = 168;
/** Below the picture: name, reason. */
const TOLD = 92;
const ABOVE = 20;
const HEADING = 46;
/** Rows that are drawn above and below what is seen. */
const SPARE = 600;
/** The share of the window that a frame may move by before pictures wait: nobody sees them at such a speed. */
const FAST = 0.25;
/** Milliseconds without a move after which they wait no longer. */
const REST = 80;

class List {
  constructor(album, opened) {
    this.album = album;
    this.opened = opened;
    this.root = $('list');
    this.cells = [];
    this.rows = [];
    /** The rows on the page, by what they show. */
    this.drawn = new Map();
    this.marked = null;
    this.current = 0;
    this.columns = 1;
    /** Images on the page whose pictures are not loaded yet. */
    this.bare = new Map();
    this.stood = 0;
    addEventListener('scroll', () => this.soon(), { passive: true });
    new ResizeObserver(() => this.arrange()).observe(this.root);
    this.root.addEventListener('click', (event) => {
      const cell = event.target.closest('.photo');
      if (!cell) return;
      this.go(Number(cell.dataset.cell));
      this.opened();
    });
    this.root.addEventListener('focus', () => this.mark());
    this.root.addEventListener('blur', () => this.mark());
  }

  /** What is to be shown, anew: the photo one is at stays it where it is still there. */
  show(sections) {
    const was = this.cells[this.current];
    const inPicks = was && this.current < this.picks;
    this.sections = sections;
    this.cells = sections.flatMap((section) => section.cells);
    this.picks = sections.length && sections[0].title === 'Picked' ? sections[0].cells.length : 0;
    if (was) {
      const here = this.places(was.photo);
      // Where a pick was is the next one, when it is none any more.
      const last = Math.max(0, (inPicks && this.picks ? this.picks : this.cells.length) - 1);
      this.current = here.find((index) => (index < this.picks) === inPicks) ?? (inPicks ? Math.min(this.current, last) : here[0] ?? Math.min(this.current, last));
    }
    this.arrange();
  }

  places(photo) {
    const places = [];
    this.cells.forEach((cell, index) => { if (cell.photo === photo) places.push(index); });
    return places;
  }

  arrange() {
    if (!this.sections) return;
    const width = this.root.clientWidth;
    this.columns = Math.max(1, Math.floor((width + GAP) / (Math.min(232, width) + GAP)));
    this.width = (width - GAP * (this.columns - 1)) / this.columns;
    this.rows = [];
    let [top, index] = [0, 0];
    for (const section of this.sections) {
      this.rows.push({ top, height: HEADING, section });
      top += HEADING;
      const above = section.cells.some((cell) => cell.above) ? ABOVE : 0;
      // The two photos of a pair stay in one row.
      const columns = section.pairs && this.columns > 1 ? this.columns - this.columns % 2 : this.columns;
      for (let from = 0; from < section.cells.length; from += columns) {
        const cells = section.cells.slice(from, from + columns);
        const height = above + PICTURE + TOLD;
        cells.forEach((cell) => { cell.row = this.rows.length; });
        this.rows.push({ top, height, first: index, cells, above });
        top += height + GAP;
        index += cells.length;
      }
    }
    this.root.style.height = `${top}px`;
    // What came of a key press is painted first; rows out of sight follow.
    this.draw(true);
    requestAnimationFrame(() => setTimeout(() => this.draw()));
  }

  /** What a row shows, in a word. */
  key({ top, first, section, cells }) {
    if (section) return `${top} ${section.title} ${section.told}`;
    return `${top} ${this.width} ${first} of ${this.cells.length}: ${cells.map(({ photo, above }) => `${photo.index}.${photo.version}.${above}`)}`;
  }

  soon() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.draw();
    });
  }

  /** Draws the rows that are missing; with `seenOnly` those that are seen. */
  draw(seenOnly = false) {
    const seen = -this.root.getBoundingClientRect().top;
    const [from, to] = [seen - SPARE, seen + innerHeight + SPARE];
    const isSeen = ({ top, height }) => top + height > seen && top < seen + innerHeight;
    // Rows lie in order: the first that is seen is found by halves.
    let [low, high] = [0, this.rows.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.rows[middle].top + this.rows[middle].height < from) low = middle + 1;
      else high = middle;
    }
    const wanted = new Map();
    for (let index = low; index < this.rows.length && this.rows[index].top <= to; index += 1) wanted.set(this.key(this.rows[index]), this.rows[index]);
    for (const [key, element] of this.drawn) {
      if (!wanted.has(key)) {
        element.remove();
        this.drawn.delete(key);
      }
    }
    // A row that shows what it showed before stays; rows are on the page in their order.
    let next = this.root.firstChild;
    for (const [key, row] of wanted) {
      let element = this.drawn.get(key);
      if (!element) {
        if (seenOnly && !isSeen(row)) continue;
        element = this.root.insertBefore(this.row(row), next);
        this.drawn.set(key, element);
      }
      next = element.nextSibling;
    }
    this.mark();
    this.load(seen);
  }

  /** Loads the pictures of what is drawn, unless the list passes by too fast for them to be seen. */
  load(seen) {
    const moved = Math.abs(seen - this.stood);
    this.stood = seen;
    clearTimeout(this.resting);
    if (moved > FAST * innerHeight) {
      this.resting = setTimeout(() => this.load(seen), REST);
      return;
    }
    for (const [image, source] of this.bare) if (image.isConnected) image.src = source;
    this.bare.clear();
  }

  row(row) {
    const element = make('div', 'row');
    element.setAttribute('role', 'presentation');
    element.style.top = `${row.top}px`;
    if (row.section) {
      const heading = make('h2', '', row.section.title);
      heading.append(make('span', '', row.section.told));
      element.append(heading);
      return element;
    }
    row.cells.forEach((cell, column) => {
      const box = make('div', 'cell');
      Object.assign(box.style, { left: `${column * (this.width + GAP)}px`, width: `${this.width}px` });
      if (row.above) {
        const above = make('div', `above${cell.first ? ' first' : ''}${cell.last ? ' last' : ''}`, cell.above);
        above.title = cell.above;
        box.append(above);
      }
      box.append(this.card(cell.photo, row.first + column));
      element.append(box);
    });
    return element;
  }

  card(photo, index) {
    const card = make('div', `photo${photo.rank === null ? '' : ' pick'}${photo.decision ? ` ${photo.decision}` : ''}`);
    card.id = `c${index}`;
    card.dataset.cell = index;
    card.dataset.photo = photo.index;
    card.setAttribute('role', 'option');
    card.setAttribute('aria-selected', 'false');
    card.setAttribute('aria-setsize', this.cells.length);
    card.setAttribute('aria-posinset', index + 1);
    const picked = photo.rank === null ? 'not picked' : `picked as number ${photo.rank}`;
    card.setAttribute('aria-label', [photo.name, picked, decisionTold[photo.decision], photo.reason].filter(Boolean).join(', '));
    const frame = make('div', 'frame');
    frame.style.height = `${PICTURE}px`;
    const source = this.album.thumbnail(photo);
    if (source) {
      const hold = make('div', 'hold');
      const width = Math.min(this.width, PICTURE * photo.aspect);
      Object.assign(hold.style, { width: `${width}px`, height: `${width / photo.aspect}px` });
      const image = make('img');
      image.decoding = 'async';
      image.alt = '';
      this.bare.set(image, source);
      hold.append(image, ...faceMarks(photo));
      frame.append(hold);
    } else {
      frame.append(make('div', 'none', 'no picture'));
    }
    if (photo.rank !== null) frame.append(make('span', 'badge', `★ ${photo.rank}`));
    if (photo.decision) frame.append(make('span', 'badge yours', decisionTold[photo.decision]));
    const tell = make('div', 'tell');
    tell.style.height = `${TOLD}px`;
    const name = make('div', 'name');
    name.append(make('span', '', photo.name), make('span', '', typeof photo.composite === 'number' ? two(photo.composite) : '–'));
    name.title = photo.path;
    const why = make('p', 'why', photo.reason);
    why.title = photo.reason;
    tell.append(name, why);
    card.append(frame, tell);
    return card;
  }

  photo() {
    return this.cells[this.current]?.photo;
  }

  /** Shows which photo one is at, to eyes and to screen readers. */
  mark() {
    const card = $(`c${this.current}`);
    const mark = (card, here) => {
      card.setAttribute('aria-selected', String(here));
      card.classList.toggle('here', here);
      card.classList.toggle('focused', here && document.activeElement === this.root);
    };
    if (this.marked && this.marked !== card) mark(this.marked, false);
    if (card) mark(card, true);
    this.marked = card;
    if (card) this.root.setAttribute('aria-activedescendant', card.id);
    else this.root.removeAttribute('aria-activedescendant');
  }

  go(index) {
    if (!this.cells.length) return;
    this.current = Math.min(this.cells.length - 1, Math.max(0, index));
    const row = this.rows[this.cells[this.current].row];
    const top = this.root.getBoundingClientRect().top + row.top;
    if (top < 0) scrollBy(0, top - HEADING);
    else if (top + row.height > innerHeight) scrollBy(0, top + row.height - innerHeight + GAP);
    this.draw();
  }

  step(by) {
    this.go(this.current + by);
  }

  /** To the row above or below, as nearly straight as there is a photo. */
  leap(by) {
    const here = this.cells[this.current];
    if (!here) return;
    const column = this.current - this.rows[here.row].first;
    let index = here.row + by;
    while (this.rows[index]?.section) index += by;
    const row = this.rows[index];
    if (row) this.go(row.first + Math.min(column, row.cells.length - 1));
  }
}
