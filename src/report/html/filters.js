// Distributions of scores and times, each a filter.

const BINS = 24;
const SVG = 'http://www.w3.org/2000/svg';

class Filters {
  constructor(album, changed) {
    this.album = album;
    const moments = album.photos.map((photo) => photo.taken_ms).filter((time) => typeof time === 'number');
    // Not spread over arguments: there may be very many.
    const low = moments.reduce((a, b) => Math.min(a, b), Infinity);
    const high = moments.reduce((a, b) => Math.max(a, b), -Infinity);
    // As much of a moment as tells the first from the last: years, days or hours.
    const DAY = 86400000;
    const stamp = high - low > 300 * DAY ? [0, 7] : high - low > DAY ? [5, 16] : [11, 16];
    const timeline = {
      key: 'time', label: 'Time', of: (photo) => photo.taken_ms, low, high,
      tell: (time) => new Date(time).toISOString().replace('T', ' ').slice(...stamp),
    };
    album.filters = [...SCORES, ...(high > low ? [timeline] : [])]
      .filter((filter) => album.photos.some((photo) => typeof filter.of(photo) === 'number'));
    for (const filter of album.filters) Object.assign(filter, { from: 0, to: STEPS });
    this.plots = album.filters.map((filter) => this.plot(filter, changed));
    this.choices = [
      this.choice('kind', 'Every kind', album.photos.map((photo) => photo.kind ?? []), changed),
      this.choice('person', 'Everybody', album.photos.map((photo) => photo.people), changed),
    ];
  }

  get bounded() {
    return this.album.filters.some((filter) => filter.from > 0 || filter.to < STEPS);
  }

  open() {
    for (const filter of this.album.filters) Object.assign(filter, { from: 0, to: STEPS });
    for (const choice of this.choices) choice('');
  }

  /** A list of the values that photos have, if there are two at least; what it returns chooses one. */
  choice(id, all, values, changed) {
    const list = $(id);
    const counts = new Map();
    for (const value of values.flat()) counts.set(value, (counts.get(value) ?? 0) + 1);
    const options = [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
    list.append(new Option(all, ''), ...options.map(([value, photos]) => new Option(`${value} (${photos})`, value)));
    list.parentElement.hidden = options.length < (id === 'kind' ? 2 : 1);
    const choose = (value) => {
      this.album.state[id] = value;
      list.value = value;
    };
    list.addEventListener('change', () => {
      choose(list.value);
      changed();
    });
    return choose;
  }

  draw() {
    this.plots.forEach((redraw) => redraw());
  }

  plot(filter, changed) {
    const box = make('div', 'plot');
    const heading = make('h2', '', filter.label);
    const told = make('span');
    heading.append(told);
    const svg = document.createElementNS(SVG, 'svg');
    svg.setAttribute('viewBox', `0 0 ${BINS * 4} 46`);
    svg.setAttribute('preserveAspectRatio', 'none');
    svg.setAttribute('aria-hidden', 'true');
    const columns = [];
    for (let bin = 0; bin < BINS; bin += 1) {
      for (const className of ['all', 'chosen']) {
        const column = document.createElementNS(SVG, 'rect');
        column.setAttribute('class', className);
        column.setAttribute('x', bin * 4 + 0.4);
        column.setAttribute('width', 3.2);
        columns.push([column, bin, className]);
        svg.append(column);
      }
    }
    const ends = make('div', 'ends');
    const inputs = ['from', 'to'].map((end) => {
      const input = make('input');
      Object.assign(input, { type: 'range', min: 0, max: STEPS, value: filter[end] });
      input.setAttribute('aria-label', `${filter.label}: ${end === 'from' ? 'lowest' : 'highest'}`);
      input.dataset.filter = filter.key;
      input.dataset.end = end;
      input.addEventListener('input', () => {
        filter[end] = Number(input.value);
        if (filter.from > filter.to) {
          filter[end] = filter[end === 'from' ? 'to' : 'from'];
          input.value = filter[end];
        }
        changed();
      });
      return input;
    });
    ends.append(...inputs);
    const scale = make('div', 'scale');
    scale.append(make('span', '', filter.tell(filter.low)), make('span', '', filter.tell(filter.high)));
    box.append(heading, svg, ends, scale);
    $('plots').append(box);
    return () => {
      const counts = this.counts(filter);
      const tallest = Math.max(1, ...counts.all);
      const open = filter.from === 0 && filter.to === STEPS;
      told.textContent = open ? '' : `${filter.tell(at(filter, filter.from))} – ${filter.tell(at(filter, filter.to))}`;
      for (const input of inputs) {
        input.value = filter[input.dataset.end];
        input.setAttribute('aria-valuetext', filter.tell(at(filter, filter[input.dataset.end])));
      }
      for (const [column, bin, className] of columns) {
        const height = counts[className][bin] ? Math.max(1.5, 44 * counts[className][bin] / tallest) : 0;
        column.setAttribute('y', 46 - height);
        column.setAttribute('height', height);
        const outside = (bin + 1) * STEPS / BINS <= filter.from || bin * STEPS / BINS >= filter.to;
        column.classList.toggle('out', outside && !open);
      }
    };
  }

  counts(filter) {
    const [all, chosen] = [new Array(BINS).fill(0), new Array(BINS).fill(0)];
    for (const photo of this.album.photos) {
      const value = filter.of(photo);
      if (typeof value !== 'number') continue;
      const bin = Math.min(BINS - 1, Math.max(0, Math.floor((value - filter.low) / (filter.high - filter.low) * BINS)));
      all[bin] += 1;
      if (photo.rank !== null) chosen[bin] += 1;
    }
    return { all, chosen };
  }
}
