'use strict';
// The photos of the page, their scenes, and which of them are shown.

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

const dayOf = (photo) => (photo.taken_at || '').slice(0, 10);

const SCORES = [
  ['composite', 'Overall'], ['aesthetic', 'Aesthetic'], ['technical', 'Technical'], ['portrait', 'Portrait'], ['relevance', 'Relevance'],
  ['sharpness', 'Sharpness'], ['exposure', 'Exposure'],
].map(([key, label]) => ({ key, label, of: (photo) => photo[key], low: 0, high: 1, tell: two }));

class Album {
  constructor(page) {
    this.page = page;
    this.photos = page.photos;
    this.state = { show: 'all', find: [], order: 'group', day: '', kind: '', person: '' };
    this.filters = [];
    this.scenes = new Map();
    this.photos.forEach((photo, index) => {
      photo.index = index;
      photo.version = 0;
      photo.words = [photo.path, photo.kind, ...photo.people, ...photo.shows, ...photo.text].join('\n').toLowerCase();
      photo.name = nameOf(photo.path);
      photo.aspect = photo.width && photo.height ? photo.width / photo.height : 1.5;
      const key = photo.group === null ? `alone-${index}` : photo.group;
      if (!this.scenes.has(key)) this.scenes.set(key, { group: photo.group, photos: [] });
      photo.scene = this.scenes.get(key);
      photo.scene.photos.push(photo);
    });
    for (const scene of this.scenes.values()) {
      scene.photos.sort((a, b) => (a.taken_at || '').localeCompare(b.taken_at || '') || (a.path < b.path ? -1 : 1));
      const times = scene.photos.map((photo) => photo.taken_at).filter(Boolean);
      scene.first = times[0] || null;
      scene.last = times[times.length - 1] || null;
    }
  }

  /** What a server says of photos since a decision. */
  take({ changed, reasons }) {
    for (const [index, now] of changed) this.change(this.photos[index], now);
    for (const [reason, photos] of reasons) photos.forEach((index) => this.change(this.photos[index], { reason }));
  }

  change(photo, now) {
    Object.assign(photo, now);
    photo.version += 1;
  }

  /** Where a small picture of it is; null where there is none. */
  thumbnail(photo) {
    if (this.page.served) return `thumbnail/${photo.index}`;
    return this.kept(`t${photo.index}`);
  }

  kept(id) {
    const kept = $(id);
    return kept && `data:image/jpeg;base64,${kept.textContent}`;
  }

  /** Where the whole picture is; a page in one file has a preview at best. */
  original(photo) {
    return this.page.served ? `original/${photo.index}` : this.kept(`p${photo.index}`) ?? this.thumbnail(photo);
  }

  /** Finds the picks, and which photos are within the bounds. Done once for all that is shown after a change. */
  look() {
    const { show, find, day, kind, person } = this.state;
    const bounds = this.filters.filter((filter) => filter.from > 0 || filter.to < STEPS);
    const wanted = {
      all: () => true, picked: (photo) => photo.rank !== null, rest: (photo) => photo.rank === null, decided: (photo) => photo.decision,
    }[show];
    const within = (photo) => wanted(photo) && (!kind || photo.kind === kind) && (!person || photo.people.includes(person)) &&
      (!day || dayOf(photo) === day) && find.every((word) => photo.words.includes(word)) && bounds.every((filter) => passes(filter, photo));
    this.picks = [];
    this.shown = 0;
    for (const photo of this.photos) {
      photo.shown = Boolean(within(photo));
      if (photo.shown) this.shown += 1;
      if (photo.rank !== null) this.picks.push(photo);
    }
    this.picks.sort((a, b) => a.rank - b.rank);
  }

  /** The scenes as they are ordered. */
  ordered() {
    const { order } = this.state;
    const bests = new Map();
    if (order === 'best') for (const scene of this.scenes.values()) bests.set(scene, scene.photos.reduce((best, photo) => Math.max(best, photo.composite ?? -1), -1));
    const best = (scene) => bests.get(scene);
    const orders = {
      group: (a, b) => (a.group ?? 1e9) - (b.group ?? 1e9),
      time: (a, b) => (a.first || '~').localeCompare(b.first || '~'),
      best: (a, b) => best(b) - best(a),
      size: (a, b) => b.photos.length - a.photos.length,
    };
    return [...this.scenes.values()].sort(orders[order]);
  }

  /** Picks that the tie-break hardly told from the next photo of their scene, each with that one. */
  closeCalls() {
    const nextOf = (pick) => pick.scene.photos.find((photo) => photo !== pick && photo.close_call);
    return this.picks.filter((pick) => pick.close_call && pick.shown).map((pick) => [pick, nextOf(pick)])
      .filter(([pick, next]) => next && (next.rank === null || next.rank > pick.rank));
  }

  /** What the list shows: the picks, close calls, then all scenes; each cell a photo and what stands above it. */
  sections() {
    const picks = this.picks.filter((photo) => photo.shown);
    const sections = [];
    if (picks.length && this.state.show !== 'rest') {
      sections.push({ title: 'Picked', told: count(picks.length, 'photo', 'photos'), cells: picks.map((photo) => ({ photo, above: '' })) });
    }
    if (this.state.show === 'picked') return sections;
    const close = this.state.show === 'rest' ? [] : this.closeCalls();
    if (close.length) {
      const inPair = (pair) => pair.map((photo, side) => ({ photo, side, first: side === 0, last: side === 1, above: closeTold(pair, side) }));
      sections.push({ title: 'Too close to call', told: count(close.length, 'pair', 'pairs'), pairs: true, cells: close.flatMap(inPair) });
    }
    const cells = [];
    let scenes = 0;
    for (const scene of this.ordered()) {
      const here = this.shown === this.photos.length ? scene.photos : scene.photos.filter((photo) => photo.shown);
      scenes += here.length ? 1 : 0;
      here.forEach((photo, at) => {
        cells.push({ photo, first: at === 0, last: at === here.length - 1, above: at === 0 ? sceneTold(scene, here.length) : '' });
      });
    }
    if (cells.length) sections.push({ title: 'By scene', told: `${count(cells.length, 'photo', 'photos')} in ${count(scenes, 'scene', 'scenes')}`, cells });
    return sections;
  }
}

const sceneTold = (scene, here) => {
  const all = scene.photos.length;
  const takes = all === 1 ? '' : ` · ${here === all ? '' : `${here} of `}${all} takes`;
  const name = scene.group === null ? 'In no scene' : `Scene ${scene.group + 1}`;
  return `${name}${takes}${scene.first ? ` · ${scene.first.slice(5, 16)}` : ''}`;
};

/** What stands above the two photos of a close call. */
const closeTold = ([pick, next], side) => {
  const met = pick.met.find((other) => other.path === next.path);
  return side === 1 ? 'Runner-up' : `Picked${met ? ` · preferred with ${Math.round(100 * met.confidence)} %` : ''}`;
};

const STEPS = 1000;
const at = (filter, step) => filter.low + (filter.high - filter.low) * step / STEPS;
const passes = (filter, photo) => {
  if (filter.from === 0 && filter.to === STEPS) return true;
  const value = filter.of(photo);
  return typeof value === 'number' && value >= at(filter, filter.from) - 1e-9 && value <= at(filter, filter.to) + 1e-9;
};

const decisionTold = { keep: 'you kept it', reject: 'you rejected it' };

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

/** Boxes around faces, as parts of the picture they are drawn over. */
const faceMarks = (photo) => photo.faces.map((face) => {
  const mark = make('div', `face ${face.eyes_open === true ? 'open' : face.eyes_open === false ? 'shut' : ''}`);
  const [x, y, w, h] = face.bbox;
  Object.assign(mark.style, { left: `${100 * x}%`, top: `${100 * y}%`, width: `${100 * w}%`, height: `${100 * h}%` });
  const words = [];
  if (face.eyes_open === false) words.push('closed');
  if (face.smiling) words.push('smile');
  if (words.length) mark.append(make('b', '', words.join('\n')));
  return mark;
});
