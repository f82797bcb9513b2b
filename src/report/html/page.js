'use strict';
(() => {
  const page = JSON.parse(document.getElementById('data').textContent);
  const photos = page.photos;
  const $ = (id) => document.getElementById(id);
  const make = (tag, className, text) => {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    return element;
  };
  const nameOf = (path) => path.split(/[\\/]/).pop() || path;
  const count = (n, one, many) => `${n.toLocaleString('en')} ${n === 1 ? one : many}`;
  const two = (value) => value.toFixed(2);

  // --- scenes
  const scenes = new Map();
  photos.forEach((photo, index) => {
    photo.index = index;
    photo.name = nameOf(photo.path);
    const key = photo.group === null ? `alone-${index}` : photo.group;
    if (!scenes.has(key)) scenes.set(key, { key, group: photo.group, photos: [] });
    scenes.get(key).photos.push(photo);
  });
  for (const scene of scenes.values()) {
    scene.photos.sort((a, b) => (a.taken_at || '').localeCompare(b.taken_at || '') || (a.path < b.path ? -1 : 1));
    const times = scene.photos.map((photo) => photo.taken_at).filter(Boolean);
    scene.first = times[0] || null;
    scene.last = times[times.length - 1] || null;
    scene.best = Math.max(...scene.photos.map((photo) => photo.composite ?? -1));
  }

  // --- what is shown
  const scores = [
    ['composite', 'Overall'], ['aesthetic', 'Aesthetic'], ['technical', 'Technical'], ['portrait', 'Portrait'],
    ['sharpness', 'Sharpness'], ['exposure', 'Exposure'],
  ].map(([key, label]) => ({ key, label, of: (photo) => photo[key], low: 0, high: 1, tell: two }));
  const moments = photos.map((photo) => photo.taken_ms).filter((time) => time !== null && time !== undefined);
  // As much of a moment as tells the first from the last: years, days or hours.
  const span = Math.max(...moments) - Math.min(...moments);
  const DAY = 86400000;
  const stamp = span > 300 * DAY ? [0, 7] : span > DAY ? [5, 16] : [11, 16];
  const timeline = {
    key: 'time', label: 'Time', of: (photo) => photo.taken_ms, low: Math.min(...moments), high: Math.max(...moments),
    tell: (time) => new Date(time).toISOString().replace('T', ' ').slice(...stamp),
  };
  const filters = [...scores, ...(timeline.high > timeline.low ? [timeline] : [])]
    .filter((filter) => photos.some((photo) => typeof filter.of(photo) === 'number'));
  for (const filter of filters) Object.assign(filter, { from: 0, to: 1000 });
  const STEPS = 1000;
  const at = (filter, step) => filter.low + (filter.high - filter.low) * step / STEPS;
  const passes = (filter, photo) => {
    if (filter.from === 0 && filter.to === STEPS) return true;
    const value = filter.of(photo);
    return typeof value === 'number' && value >= at(filter, filter.from) - 1e-9 && value <= at(filter, filter.to) + 1e-9;
  };
  const state = { show: 'all', find: '', order: 'group' };
  const visible = (photo) =>
    (state.show === 'all' || (state.show === 'decided' ? Boolean(photo.decision) : (state.show === 'picked') === (photo.rank !== null)))
    && (!state.find || photo.path.toLowerCase().includes(state.find))
    && filters.every((filter) => passes(filter, photo));

  // --- thumbnails: decoded when near, forgotten when far
  const sourceOf = (index) => $(`t${index}`);
  const near = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      const image = entry.target;
      if (entry.isIntersecting) {
        if (!image.src) image.src = `data:image/jpeg;base64,${sourceOf(image.dataset.photo).textContent}`;
      } else if (image.src) {
        image.removeAttribute('src');
        image.classList.remove('here');
      }
    }
  }, { rootMargin: '800px 0px' });

  const faceMarks = (photo, box) => photo.faces.map((face) => {
    const mark = make('div', `face ${face.eyes_open === true ? 'open' : face.eyes_open === false ? 'shut' : ''}`);
    const [x, y, w, h] = face.bbox;
    mark.style.left = `${box.left + x * box.width}%`;
    mark.style.top = `${box.top + y * box.height}%`;
    mark.style.width = `${w * box.width}%`;
    mark.style.height = `${h * box.height}%`;
    const words = [];
    if (face.eyes_open === false) words.push('closed');
    if (face.smiling) words.push('smile');
    if (words.length) mark.append(make('b', '', words.join('\n')));
    return mark;
  });

  /** Where `object-fit: contain` puts a picture of that shape in a frame, in percent. */
  const fitted = (aspect, frame) => aspect > frame
    ? { width: 100, height: 100 * frame / aspect, left: 0, top: 50 - 50 * frame / aspect }
    : { width: 100 * aspect / frame, height: 100, left: 50 - 50 * aspect / frame, top: 0 };

  const bars = (photo, list, numbers) => {
    const box = make('div', 'bars');
    for (const { key, label } of list) {
      const value = photo[key];
      const has = typeof value === 'number';
      const bar = make('div', has ? 'bar' : 'bar missing');
      if (has) {
        const fill = make('i');
        fill.style.width = `${100 * Math.min(1, Math.max(0, value))}%`;
        bar.append(fill);
      }
      bar.title = has ? `${label} ${two(value)}` : `${label}: not measured`;
      box.append(make('span', '', label), bar);
      if (numbers) box.append(make('span', '', has ? two(value) : '–'));
    }
    return box;
  };

  const HEIGHT = 176;
  const card = (photo) => {
    const button = make('button', photo.rank === null ? 'photo' : 'photo pick');
    button.dataset.photo = photo.index;
    button.tabIndex = -1;
    const source = sourceOf(photo.index);
    const aspect = source ? source.dataset.w / source.dataset.h : 1.5;
    const width = Math.round(Math.min(320, Math.max(HEIGHT, HEIGHT * aspect)));
    button.style.setProperty('--w', `${width}px`);
    const frame = make('div', 'frame');
    if (source) {
      const image = make('img');
      image.dataset.photo = photo.index;
      image.decoding = 'async';
      image.alt = '';
      image.addEventListener('load', () => image.classList.add('here'));
      near.observe(image);
      frame.append(image, ...faceMarks(photo, fitted(aspect, width / HEIGHT)));
    } else {
      frame.append(make('div', 'none', 'no picture'));
    }
    if (photo.rank !== null) frame.append(make('span', 'badge', `★ ${photo.rank}`));
    if (photo.decision) frame.append(make('span', 'badge yours', photo.decision === 'keep' ? 'you kept it' : 'you rejected it'));
    const tell = make('div', 'tell');
    const name = make('div', 'name');
    name.append(make('span', '', photo.name), make('span', '', typeof photo.composite === 'number' ? two(photo.composite) : '–'));
    name.title = photo.path;
    tell.append(name, bars(photo, scores.slice(1, 4)), make('p', 'why', photo.reason));
    button.append(frame, tell);
    button.setAttribute('aria-label', `${photo.name}${photo.rank === null ? '' : `, picked as number ${photo.rank}`}. ${photo.reason}`);
    button.addEventListener('click', () => look(photo));
    button.addEventListener('focus', () => { current = button; });
    photo.card = button;
    return button;
  };

  const main = $('scenes');
  for (const scene of scenes.values()) {
    const section = make('section', 'scene');
    const heading = make('h2', '', scene.group === null ? 'In no scene' : `Scene ${scene.group + 1}`);
    scene.tally = make('span');
    heading.append(scene.tally);
    if (scene.first) {
      const sameDay = scene.first.slice(0, 10) === scene.last.slice(0, 10);
      const till = scene.first === scene.last ? '' : ` – ${sameDay ? scene.last.slice(11, 16) : scene.last.slice(0, 16)}`;
      heading.append(make('span', '', scene.first.slice(0, 16) + till));
    }
    const row = make('div', 'row');
    row.append(...scene.photos.map(card));
    section.append(heading, row);
    scene.section = section;
  }

  // --- distributions, each a filter
  const BINS = 24;
  const plots = filters.map((filter) => {
    const box = make('div', 'plot');
    const heading = make('h2', '', filter.label);
    const told = make('span');
    heading.append(told);
    const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
    svg.setAttribute('viewBox', `0 0 ${BINS * 4} 46`);
    svg.setAttribute('preserveAspectRatio', 'none');
    const binOf = (photo) => {
      const value = filter.of(photo);
      return typeof value === 'number' ? Math.min(BINS - 1, Math.max(0, Math.floor((value - filter.low) / (filter.high - filter.low) * BINS))) : -1;
    };
    const all = new Array(BINS).fill(0);
    const chosen = new Array(BINS).fill(0);
    for (const photo of photos) {
      const bin = binOf(photo);
      if (bin < 0) continue;
      all[bin] += 1;
      if (photo.rank !== null) chosen[bin] += 1;
    }
    const tallest = Math.max(...all);
    const columns = [];
    for (let bin = 0; bin < BINS; bin += 1) {
      for (const [counts, className] of [[all, 'all'], [chosen, 'chosen']]) {
        const height = counts[bin] ? Math.max(1.5, 44 * counts[bin] / tallest) : 0;
        const column = document.createElementNS('http://www.w3.org/2000/svg', 'rect');
        column.setAttribute('class', className);
        column.setAttribute('x', bin * 4 + 0.4);
        column.setAttribute('width', 3.2);
        column.setAttribute('y', 46 - height);
        column.setAttribute('height', height);
        columns.push([column, bin]);
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
        update();
      });
      return input;
    });
    ends.append(...inputs);
    const scale = make('div', 'scale');
    scale.append(make('span', '', filter.tell(filter.low)), make('span', '', filter.tell(filter.high)));
    box.append(heading, svg, ends, scale);
    $('plots').append(box);
    return () => {
      const open = filter.from === 0 && filter.to === STEPS;
      told.textContent = open ? '' : `${filter.tell(at(filter, filter.from))} – ${filter.tell(at(filter, filter.to))}`;
      inputs[0].value = filter.from;
      inputs[1].value = filter.to;
      for (const [column, bin] of columns) {
        const outside = (bin + 1) * STEPS / BINS <= filter.from || bin * STEPS / BINS >= filter.to;
        column.classList.toggle('out', outside && !open);
      }
    };
  });

  // --- showing
  const orders = {
    group: (a, b) => (a.group ?? 1e9) - (b.group ?? 1e9),
    time: (a, b) => (a.first || '~').localeCompare(b.first || '~'),
    best: (a, b) => b.best - a.best,
    size: (a, b) => b.photos.length - a.photos.length,
  };
  let arranged = '';
  const update = () => {
    if (arranged !== state.order) {
      arranged = state.order;
      main.append(...[...scenes.values()].sort(orders[state.order]).map((scene) => scene.section));
    }
    let shown = 0;
    let inScenes = 0;
    for (const scene of scenes.values()) {
      let here = 0;
      for (const photo of scene.photos) {
        const show = visible(photo);
        photo.card.hidden = !show;
        photo.card.style.display = show ? '' : 'none';
        here += show ? 1 : 0;
      }
      scene.section.hidden = here === 0;
      scene.tally.textContent = here === scene.photos.length ? count(here, 'photo', 'takes') : `${here} of ${count(scene.photos.length, 'photo', 'takes')}`;
      shown += here;
      inScenes += here ? 1 : 0;
    }
    plots.forEach((redraw) => redraw());
    const bounded = shown < photos.length || filters.some((filter) => filter.from > 0 || filter.to < STEPS);
    $('shown').textContent = bounded ? `${count(shown, 'photo', 'photos')} in ${count(inScenes, 'scene', 'scenes')} shown` : '';
    $('reset').hidden = !bounded;
    $('nothing').hidden = shown > 0;
    document.body.dataset.shown = shown;
    const first = cards()[0];
    if (first && (!current || current.hidden)) current = first;
    for (const photo of photos) photo.card.tabIndex = photo.card === current ? 0 : -1;
  };

  // --- keys
  let current = null;
  const cards = () => [...main.querySelectorAll('.photo')].filter((element) => !element.hidden);
  const go = (element) => {
    if (!element) return;
    if (current) current.tabIndex = -1;
    current = element;
    element.tabIndex = 0;
    element.focus({ preventScroll: true });
    element.scrollIntoView({ block: 'nearest' });
  };
  const step = (by) => {
    const list = cards();
    const here = list.indexOf(current);
    return list[Math.min(list.length - 1, Math.max(0, here + by))];
  };
  const leap = (by) => {
    const sections = [...main.querySelectorAll('.scene')].filter((section) => !section.hidden);
    const here = sections.indexOf(current && current.closest('.scene'));
    const next = sections[Math.min(sections.length - 1, Math.max(0, here + by))];
    return next && [...next.querySelectorAll('.photo')].find((element) => !element.hidden);
  };
  document.addEventListener('keydown', (event) => {
    const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (typing) {
      if (event.key === 'Escape') event.target.blur();
      return;
    }
    const moves = { ArrowRight: () => step(1), ArrowLeft: () => step(-1), ArrowDown: () => leap(1), ArrowUp: () => leap(-1) };
    if (moves[event.key]) {
      const next = document.activeElement === document.body && current ? current : moves[event.key]();
      go(next);
      if ($('closer').open && next) look(photos[next.dataset.photo]);
    } else if (event.key === 'p' || event.key === 'P') {
      show(state.show === 'picked' ? 'all' : 'picked');
    } else if (event.key === '/') {
      $('find').focus();
    } else {
      return;
    }
    event.preventDefault();
  });

  // --- one photo, closer
  const closer = $('closer');
  const look = (photo) => {
    const box = make('div', 'closer');
    const frame = make('div', 'frame');
    const source = sourceOf(photo.index);
    if (source) {
      const hold = make('div', 'hold');
      const image = make('img');
      image.src = `data:image/jpeg;base64,${source.textContent}`;
      image.alt = photo.name;
      hold.style.aspectRatio = `${source.dataset.w} / ${source.dataset.h}`;
      hold.style.maxWidth = `calc(74vh * ${source.dataset.w / source.dataset.h})`;
      hold.append(image, ...faceMarks(photo, { left: 0, top: 0, width: 100, height: 100 }));
      frame.append(hold);
    } else {
      frame.append(make('div', 'none', 'no picture'));
    }
    const side = make('div', 'side');
    side.append(make('h2', '', photo.name));
    const facts = [photo.rank === null ? 'not picked' : `picked as number ${photo.rank}`, photo.taken_at].filter(Boolean);
    side.append(make('div', 'quiet', facts.join(' · ')), make('p', 'reason', photo.reason), bars(photo, scores, true));
    if (photo.met.length) {
      const table = make('table');
      for (const met of photo.met) {
        const line = make('tr');
        const word = met.won === null ? 'coin flip' : met.won ? 'won' : 'lost';
        line.append(make('td', '', nameOf(met.path)), make('td', met.won === null ? '' : word, `${word} · ${Math.round(100 * met.confidence)} %`));
        table.append(line);
      }
      side.append(make('h3', 'quiet', 'Tie-break'), table);
    }
    if (photo.link) {
      const link = make('a', 'link', 'Open the original');
      link.href = photo.link;
      link.target = '_blank';
      link.rel = 'noopener';
      const line = make('p');
      line.append(link);
      side.append(line);
    }
    side.append(make('p', 'quiet', photo.path));
    const words = photo.decision ? ['clear'] : ['keep', 'reject'];
    side.append(make('h3', 'quiet', photo.decision ? `You decided to ${photo.decision} it; to take that back` : 'Decide it yourself'));
    for (const word of words) side.append(make('code', 'command', `albumctl decide ${word} '${photo.path.replaceAll("'", "'\\''")}'`));
    box.append(frame, side);
    closer.replaceChildren(box);
    if (!closer.open) closer.showModal();
    closer.focus();
  };
  closer.addEventListener('click', (event) => { if (event.target === closer) closer.close(); });
  closer.addEventListener('close', () => { if (current) current.focus({ preventScroll: true }); });

  // --- tools
  const show = (which) => {
    state.show = which;
    for (const button of document.querySelectorAll('[data-show]')) button.setAttribute('aria-pressed', String(button.dataset.show === which));
    update();
  };
  for (const button of document.querySelectorAll('[data-show]')) button.addEventListener('click', () => show(button.dataset.show));
  $('find').addEventListener('input', (event) => { state.find = event.target.value.trim().toLowerCase(); update(); });
  $('order').addEventListener('change', (event) => { state.order = event.target.value; update(); });
  $('reset').addEventListener('click', () => {
    for (const filter of filters) Object.assign(filter, { from: 0, to: STEPS });
    state.find = '';
    $('find').value = '';
    show('all');
  });
  const prefersDark = matchMedia('(prefers-color-scheme: dark)');
  let theme = null;
  const paint = () => { document.documentElement.dataset.theme = theme ?? (prefersDark.matches ? 'dark' : 'light'); };
  $('theme').addEventListener('click', () => {
    theme = document.documentElement.dataset.theme === 'dark' ? 'light' : 'dark';
    paint();
  });
  prefersDark.addEventListener('change', paint);
  paint();

  // --- words
  $('title').textContent = page.title;
  const picked = photos.filter((photo) => photo.rank !== null).length;
  $('summary').textContent = `${picked.toLocaleString('en')} of ${count(photos.length, 'photo', 'photos')} picked, from ${count(scenes.size, 'scene', 'scenes')}`;
  document.querySelector('[data-show=decided]').hidden = !photos.some((photo) => photo.decision);
  $('made').textContent = page.made_by;
  for (const note of page.notes) $('notes').append(make('p', '', note));
  update();
  document.body.dataset.ready = 'yes';
})();
