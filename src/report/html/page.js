// The page: what the keys and buttons do.

const KEYS = [
  ['← → ↑ ↓', 'the next photo'], ['Home End', 'the first, the last'], ['Enter', 'look closer'], ['Escape', 'back'],
  ['1 – 4', 'so many side by side'], ['Z', '100 %, and back; Shift and an arrow moves'], ['F', 'boxes around faces'],
  ['P', 'the picks only'], ['/', 'find by words: of names, of text, of what is shown'], ['?', 'these keys'],
];
const WORDS = [
  ['K', 'keep it, or take that back'], ['X', 'reject it, or take that back'], ['U', 'undo the last decision'],
  ['B', 'of two side by side, this one is better'], ['Q', 'be asked which of two is better; again, another question'],
];

const start = (page) => {
  const album = new Album(page);
  const { state } = album;
  const filters = new Filters(album, () => update());
  const list = new List(album, () => closer.look());
  let said = 0;

  const tell = (message) => {
    $('told').textContent = message;
    closer.message = message;
  };
  const update = () => {
    album.look();
    // While photos are compared, they stay where they are.
    if (closer.open) closer.show();
    else list.show(album.sections());
    const bounded = album.shown < album.photos.length || filters.bounded;
    if (!$('plots').hidden) filters.draw();
    const scenes = () => new Set(album.photos.filter((photo) => photo.shown).map((photo) => photo.scene)).size;
    $('shown').textContent = bounded ? `${count(album.shown, 'photo', 'photos')} in ${count(scenes(), 'scene', 'scenes')} shown` : '';
    $('reset').hidden = !bounded;
    $('nothing').hidden = album.shown > 0;
    $('summary').textContent = `${album.picks.length.toLocaleString('en')} of ${count(album.photos.length, 'photo', 'photos')} picked, from ${count(album.scenes.size, 'scene', 'scenes')}`;
    document.querySelector('[data-show=decided]').hidden = !album.photos.some((photo) => photo.decision);
    $('undo').disabled = said === 0;
    document.body.dataset.shown = album.shown;
  };

  // --- a person's word: told by the server, which has it on disk by then
  let line = Promise.resolve();
  const say = (path, body, told) => {
    line = line.then(async () => {
      const answer = await fetch(path, {
        method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body),
      }).catch(() => null);
      if (!answer || !answer.ok) {
        tell(answer ? `Not written down: ${(await answer.text()).trim()}` : 'Not written down: albumctl has ended.');
        return;
      }
      const change = await answer.json();
      album.take(change);
      said = change.undo;
      const photo = album.photos[change.photo];
      if (told) tell(told);
      else if (photo) tell(`${photo.name}: ${decisionTold[photo.decision] ?? 'no decision'}, ${photo.rank === null ? 'not picked' : `picked as number ${photo.rank}`}`);
      else tell('Nothing to undo.');
      update();
      if (path === 'undo' && photo && !closer.open && list.photo() !== photo) list.go(list.places(photo)[0] ?? list.current);
      document.body.dataset.said = Number(document.body.dataset.said ?? 0) + 1;
    });
    return line;
  };
  // --- a page in one file holds the words until they are saved; the choice is albumctl's
  const words = [];
  const before = album.photos.map((photo) => photo.decision);
  const open = () => album.photos.filter((photo) => photo.content && photo.decision !== before[photo.index]);
  const hold = (photo, word) => {
    album.change(photo, { decision: word });
    said = words.length;
    tell(`${photo.name}: ${decisionTold[word] ?? 'no decision'}. Save the decisions, and read them with albumctl decide --from FILE.`);
    update();
    $('save').disabled = !open().length;
  };
  const save = () => {
    const lines = open().map((photo) => {
      before[photo.index] = photo.decision;
      return `${JSON.stringify({ image_path: photo.path, decision: photo.decision, content: photo.content, picture: photo.picture })}\n`;
    });
    const link = make('a');
    link.download = 'decisions.jsonl';
    link.href = URL.createObjectURL(new Blob(lines, { type: 'application/jsonl' }));
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    $('save').disabled = true;
  };
  addEventListener('beforeunload', (event) => { if (!page.served && open().length) event.preventDefault(); });

  const decide = (photo, word) => {
    if (!photo) return;
    const now = photo.decision === word ? null : word;
    if (page.served) {
      say('decide', { photo: photo.index, decision: now });
    } else if (photo.content) {
      words.push([photo, photo.decision]);
      hold(photo, now);
    }
  };
  const undo = () => {
    if (page.served) say('undo', {});
    else if (words.length) hold(...words.pop());
  };
  const prefer = () => {
    const [better, worse, wasAsked] = [closer.photo, closer.other, closer.question];
    if (!page.served || !worse) return;
    say('prefer', { better: better.index, worse: worse.index }, `${better.name} is better than ${worse.name}`)
      .then(() => { if (wasAsked && closer.question === wasAsked) ask(); });
  };
  const closer = new Closer(album, list, decide, prefer);
  /** The next question, for as long as somebody likes to answer. */
  const ask = async () => {
    if (!page.served) return;
    const pair = await fetch('question.json').then((answer) => answer.json()).catch(() => null);
    if (pair) {
      closer.ask(pair.map((index) => album.photos[index]));
    } else {
      if (closer.question) closer.close();
      tell('No question is left: no two photos are close that nothing is said about.');
    }
    document.body.dataset.asked = Number(document.body.dataset.asked ?? 0) + 1;
  };
  $('closer').addEventListener('close', () => update());
  const end = async () => {
    await line;
    const answer = await fetch('done', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: '{}' }).catch(() => null);
    document.body.classList.add('ended');
    tell(answer && answer.ok ? 'Done: the album is printed where albumctl was started. This page may be closed.' : 'albumctl has ended.');
    document.body.dataset.ended = 'yes';
  };

  // --- keys
  const help = () => {
    const box = make('div', 'side');
    box.append(make('h2', '', 'Keys'));
    const table = make('table');
    table.setAttribute('aria-label', 'Keys');
    for (const [keys, what] of [...KEYS, ...WORDS.filter(([key]) => page.served || !/[BQ]/.test(key))]) {
      const row = make('tr');
      row.append(make('th', '', keys), make('td', '', what));
      table.append(row);
    }
    const close = make('button', '', 'Close');
    close.addEventListener('click', () => $('keys').close());
    box.append(table, close);
    $('keys').replaceChildren(box);
    $('keys').showModal();
  };
  const here = () => closer.open ? closer.photo : list.photo();
  const move = (by, leap) => () => {
    if (closer.question) closer.at = by > 0 ? 1 : 0;
    else if (leap && !closer.open) list.leap(by);
    else list.step(by);
  };
  const actions = {
    ArrowRight: move(1), ArrowLeft: move(-1), ArrowDown: move(1, true), ArrowUp: move(-1, true),
    Home: () => list.go(0), End: () => list.go(list.cells.length - 1),
    Enter: () => closer.look(),
    k: () => decide(here(), 'keep'), x: () => decide(here(), 'reject'), u: undo, b: prefer, q: ask,
    1: () => closer.show(1), 2: () => closer.show(2), 3: () => closer.show(3), 4: () => closer.show(4),
    z: () => {
      if (!closer.open) closer.show(1);
      closer.zoom();
    },
    f: () => document.body.classList.toggle('nofaces'),
    p: () => show(state.show === 'picked' ? 'all' : 'picked'),
    '/': () => $('find').focus(),
    '?': help,
  };
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || $('keys').open) return;
    const target = event.target;
    if (/^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName)) {
      if (event.key === 'Escape' || (event.key === 'Enter' && target === $('find'))) list.root.focus();
      return;
    }
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const pan = { ArrowRight: [0.1, 0], ArrowLeft: [-0.1, 0], ArrowDown: [0, 0.1], ArrowUp: [0, -0.1] }[key];
    if (event.shiftKey && pan && closer.open) {
      closer.pan(...pan);
    } else if (!actions[key] || (key === 'Enter' && target.tagName === 'BUTTON')) {
      return;
    } else {
      actions[key]();
      if (!closer.open && /^Arrow|Home|End/.test(key)) list.root.focus({ preventScroll: true });
      if (closer.open && /^Arrow|Home|End/.test(key)) closer.show();
    }
    event.preventDefault();
  });

  // --- tools
  const show = (which) => {
    state.show = which;
    for (const button of document.querySelectorAll('[data-show]')) button.setAttribute('aria-pressed', String(button.dataset.show === which));
    update();
  };
  for (const button of document.querySelectorAll('[data-show]')) button.addEventListener('click', () => show(button.dataset.show));
  $('find').addEventListener('input', (event) => { state.find = event.target.value.toLowerCase().split(/\s+/).filter(Boolean); update(); });
  $('order').addEventListener('change', (event) => { state.order = event.target.value; update(); });
  const perDay = new Map();
  for (const photo of album.photos) perDay.set(dayOf(photo), (perDay.get(dayOf(photo)) ?? 0) + 1);
  $('days').hidden = perDay.size < 2;
  $('day').append(new Option('All days', ''));
  for (const day of [...perDay.keys()].filter(Boolean).sort()) $('day').append(new Option(`${day} · ${perDay.get(day)}`, day));
  $('day').addEventListener('change', (event) => { state.day = event.target.value; update(); });
  $('filters').addEventListener('click', () => {
    $('plots').hidden = !$('plots').hidden;
    $('filters').setAttribute('aria-expanded', String(!$('plots').hidden));
    update();
  });
  $('reset').addEventListener('click', () => {
    filters.open();
    state.find = [];
    $('find').value = '';
    state.day = '';
    $('day').value = '';
    show('all');
  });
  $('undo').addEventListener('click', undo);
  $('ask').addEventListener('click', ask);
  $('ask').hidden = !page.served;
  $('save').addEventListener('click', save);
  $('save').hidden = page.served;
  $('done').addEventListener('click', end);
  $('done').hidden = !page.served;
  $('help').addEventListener('click', help);
  for (const dialog of [$('closer'), $('keys')]) {
    dialog.addEventListener('click', (event) => { if (event.target === dialog) dialog.close(); });
  }
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
  $('made').textContent = page.made_by;
  for (const note of page.notes) $('notes').append(make('p', '', note));
  update();
  list.root.focus({ preventScroll: true });
  document.body.dataset.ready = 'yes';
};

const kept = $('data');
if (kept) start(JSON.parse(kept.textContent));
else fetch('album.json').then((answer) => answer.json()).then(start);
