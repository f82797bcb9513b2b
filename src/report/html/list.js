// A grid that has only the rows that are seen, however many photos there are.

const GAP = 14;
const PICTURE = 168;
/** Below the picture: name, reason. */
const TOLD = 92;
const ABOVE = 20;
const HEADING = 46;
/** Rows that are drawn above and below what is seen. */
const SPARE = 600;
/** Milliseconds after which pictures of a row are loaded that came by scrolling: most rows have gone by then where it is fast. */
const PASSING = 80;

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
    return this.cells.map((cell, index) => (cell.photo === photo ? index : -1)).filter((index) => index >= 0);
  }

  arrange() {
    if (!this.sections) return;
    const width = this.root.clientWidth;
    this.columns = Math.max(1, Math.floor((width + GAP) / (Math.min(232, width) + GAP)));
    this.width = (width - GAP * (this.columns - 1)) / this.columns;
    this.rows = [];
    let [top, index] = [0, 0];
    for (const section of this.sections) {
      this.rows.push({ top, height: HEADING, section, key: `${top} ${section.title} ${section.told}` });
      top += HEADING;
      const above = section.cells.some((cell) => cell.above) ? ABOVE : 0;
      // The two photos of a pair stay in one row.
      const columns = section.pairs && this.columns > 1 ? this.columns - this.columns % 2 : this.columns;
      for (let from = 0; from < section.cells.length; from += columns) {
        const cells = section.cells.slice(from, from + columns);
        const height = above + PICTURE + TOLD;
        const shown = cells.map(({ photo, above }) => `${photo.index}.${photo.version}.${above}`);
        const key = `${top} ${this.width} ${index} of ${this.cells.length}: ${shown}`;
        this.rows.push({ top, height, first: index, cells, above, key });
        cells.forEach((cell) => { cell.row = this.rows.length - 1; });
        top += height + GAP;
        index += cells.length;
      }
    }
    this.root.style.height = `${top}px`;
    this.draw();
  }

  soon() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.draw(PASSING);
    });
  }

  draw(wait = 0) {
    const seen = -this.root.getBoundingClientRect().top;
    const [from, to] = [seen - SPARE, seen + innerHeight + SPARE];
    // Rows lie in order: the first that is seen is found by halves.
    let [low, high] = [0, this.rows.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.rows[middle].top + this.rows[middle].height < from) low = middle + 1;
      else high = middle;
    }
    const wanted = new Map();
    for (let index = low; index < this.rows.length && this.rows[index].top <= to; index += 1) wanted.set(this.rows[index].key, this.rows[index]);
    for (const [key, element] of this.drawn) {
      if (!wanted.has(key)) {
        element.remove();
        this.drawn.delete(key);
      }
    }
    // A row that shows what it showed before stays; rows are on the page in their order.
    let next = this.root.firstChild;
    for (const [key, row] of wanted) {
      const element = this.drawn.get(key) ?? this.root.insertBefore(this.row(row, wait), next);
      this.drawn.set(key, element);
      next = element.nextSibling;
    }
    this.mark();
  }

  row(row, wait) {
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
      box.append(this.card(cell.photo, row.first + column, wait));
      element.append(box);
    });
    return element;
  }

  card(photo, index, wait) {
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
      if (wait) setTimeout(() => { if (image.isConnected) image.src = source; }, wait);
      else image.src = source;
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
