// The page: its state, its changes, its address.

const DATA = JSON.parse(at('data').textContent), MODELS = DATA.models.map(one => openModel(one, DATA.cells));
const LINKS = [...document.querySelectorAll('nav a')];

// What the stations see.
const c = {
  t: 0, from: 0, to: 0, station: STATIONS[0],

  // What follows from text, model and changes.
  compute() {
    c.model = changedModel(c.base, c.changed);
    c.reading = read(c.model, c.found.filter((item, id) => Object.assign(item, {id}) && !c.struck.has(id)));
    const {items, n, ps, run, before} = c.reading, {memory} = c.base.cell;
    Object.assign(c, {items, n, ps, run, memory, words: items.map(item => item.word),
      back: backFrom(c.reading, c.label)});
    c.changes = ps.map((p, k) => p - (k ? ps[k - 1] : before));
    const kept = alone(run, c.back);
    c.norms = {dh: c.along(c.back.dh), dc: memory === 'c' && c.along(c.back.dc), kept: kept && c.along(kept)};
    c.place();
  },
  place() {
    const inside = (k, n) => Math.max(0, Math.min(n - 1, k || 0));
    for (const name of ['t', 'from', 'to']) c[name] = inside(c[name], c.n);
    c.unit = inside(c.unit, c.model.H);
    c.step = c.reading.first + c.t, c.env = c.run.steps[c.step], c.word = c.words[c.t];
  },
  along: rows => c.items.map((_, k) => norm(rows.row(c.reading.first + k + 1).values)),
  state: (name, k) => c.run.steps[c.reading.first + k][name].values,
  itemsOf: model => wordsOf(model, c.text).map(word => lookUp(model, word)).filter((_, id) =>
    !c.struck.has(id)),
  // The old curve.
  old: name => c.ghost ? [{name: 'before your change', kind: 'ghost',
    values: c.items.map(item => c.ghost[name][item.id] ?? NaN)}] : [],

  set(values) {
    Object.assign(c, values);
    c.place();
    show();
  },
  // Keep what was as a ghost, alter something, compute, and say what came of it.
  change(alter, words = '') {
    const had = c.n > 0, was = prob(c.reading.p),
      of = values => Object.fromEntries(c.items.map((item, k) => [item.id, values[k]]));
    c.ghost = had ? {p: c.reading.p, ps: of(c.ps), dh: of(c.norms.dh)} : null;
    alter();
    c.compute();
    c.later(words + (c.n ? `p(positive) ${prob(c.reading.p)}${had ? `, was ${was}` : ''}.` :
      'There is no word to read.'));
    if (had !== c.n > 0) enter();
    show();
  },
  strike: () => c.n && c.change(() => c.struck.add(c.items[c.t].id), `“${c.word}” is struck out: `),
  undo() {
    c.change(() => { Object.assign(c, {changed: {}, clip: Infinity}), take(c.original); }, 'Undone: ');
    c.ghost = null;
    enter();
    show();
  },
  later(words) { clearTimeout(c.waiting), c.waiting = setTimeout(() => { at('said').textContent = words; },
    200); },
  get width() { return Math.max(260, at('picture').clientWidth); },
};

function take(text) {
  c.text = text, c.struck = new Set(), c.found = wordsOf(c.base, text).map(word => lookUp(c.base, word));
  if (at('text').value !== text) at('text').value = text;
}

function show() {
  const {reading: {T}, n, base, struck} = c, last = c.items.at(-1)?.id ?? c.found.length,
    shown = c.found.slice(0, last + 1);
  const list = (kind, words) => {
    const found = new Set(shown.filter(item => item.kind === kind).map(item => item.word));
    return found.size ? ` · ${words}: ${[...found].slice(0, 12).join(', ')}` : '';
  };
  const more = c.found.filter((item, id) => id > last && item.row >= 0 && !struck.has(id)).length;
  at('answer').replaceChildren(...n ? ['p(positive) = ', h('b', {}, prob(c.reading.p)), c.ghost ?
    `, was ${prob(c.ghost.p)}` : '',
    ` · words: ${n}`, T > n ?
      ` · steps of padding ${base.padding === 'pre' ? 'before' : 'after'}: ${T - n}` : '',
    more ? ` · ${more} more are not read: this model reads ${base.max_length}` : ''] :
      ['There is no word to read yet. Write some.'],
  list('unknown', 'unknown to the model'), list('absent', 'not in this page, so left out'));
  const place = new Map(c.items.map((item, k) => [item.id, k]));
  at('words').replaceChildren(...shown.slice(0, 2000).flatMap(({id, kind, word}) => {
    const k = place.get(id);
    return [h('span', {class: `${struck.has(id) ? 'struck' : kind}${k === c.t ? ' here' : ''}`,
      onclick: () => k >= 0 && c.set({t: k})}, word), ' '];
  }));
  Object.assign(at('step'), {max: Math.max(n - 1, 0), value: c.t, disabled: n < 2});
  at('step-word').textContent = n ? `${c.t + 1} of ${n}: ${c.word}` : '';
  at('step').setAttribute('aria-valuetext', at('step-word').textContent);
  const {bias = '', held = {}} = c.changed, parts = Object.entries(held).map(([name, v]) =>
    `${bare(name)} held at ${v}`);
  if (bias !== '') parts.push(`a bias of ${fmt(bias)}`);
  at('changed').replaceChildren(...parts[0] ? [`In all stations: ${parts.join(', ')}. `,
    button('Undo', c.undo)] : []);
  drawStation();
  history.replaceState(null, '', `#${c.station.id}/${c.t + 1}`);
}

// Tables that were open stay open.
function drawStation() {
  const tables = () => [...at('picture').querySelectorAll('details')], open = tables().map(one => one.open);
  at('picture').replaceChildren(...(c.n && c.answers[c.station.id] ? c.station.draw(c) : []).filter(Boolean));
  tables().forEach((one, k) => { one.open = open[k]; });
  c.drawn = c.width;
  mark(c.marked);
}

// A station's question, or its answer and its controls.
function enter() {
  const {station, answers} = c, place = STATIONS.indexOf(station), told = c.n && answers[station.id],
    next = told && LINKS[place + 1];
  LINKS.forEach((link, k) => {
    link.setAttribute('aria-current', k === place ? 'step' : 'false');
    link.textContent = link.textContent.replace(' ✓', '') + (answers[STATIONS[k].id] ? ' ✓' : '');
  });
  at('station-title').textContent = LINKS[place].textContent.replace(' ✓', '');
  at('lead').textContent = LINKS[place].dataset.lead;
  at('onward').replaceChildren(...next ? [h('a', {href: next.hash}, `Next: ${next.textContent}`)] : []);
  at('picture').replaceChildren();
  at('controls').replaceChildren(...told ? station.controls(c) : []);
  at('question').replaceChildren(told ? h('b', {}, told) : c.n ? asked(station) : '');
}

function asked(station) {
  const {question, options, right, because} = station.ask(c), answer = (value, words) => {
    c.answers[station.id] = (value === null ? '' : value === right ? 'Yes. ' : `You chose: ${words}. `) +
      because;
    enter();
    drawStation();
    at('station').focus();
  };
  return h('fieldset', {}, h('legend', {}, 'First: what do you think?'), h('p', {}, question),
    h('div', {class: 'choices'},
    [...options, [null, 'I do not know']].map(([value, words]) => button(words,
      () => answer(value, words)))));
}

// Go where the address says.
function follow() {
  const [id, t] = location.hash.slice(1).split('/'), station = STATIONS.find(one => one.id === id) ??
    STATIONS[0], moved = station !== c.station;
  c.station = station, c.marked = moved ? '' : c.marked, at('said').textContent = '';
  if (t >= 1) c.t = Math.floor(t) - 1;
  c.place();
  enter();
  show();
  if (moved) at('station').focus();
}

// Begin anew.
function open() {
  const {text, label} = DATA.reviews[at('review').value], base = c.base = MODELS[at('model').value],
    w = base.w.values;
  Object.assign(c, {label, original: text, ghost: null, changed: {}, clip: Infinity, answers: {}, unit: 0});
  at('label').value = label;
  take(text);
  c.compute();
  const [unit] = ranked(c.run.h.row(c.reading.T).values.map((v, u) => v * w[u]), Math.abs);
  Object.assign(c, {t: c.n >> 1, from: c.n >> 1, to: c.n - 1, shown: c.memory, unit});
  at('about').textContent = `${base.name} (${base.cell.name}): ${base.H} units, vectors of ${base.D} numbers. ` +
    `This page holds ${base.E.rows.toLocaleString('en')} words and needs no network.`;
}

function trust() {
  const worst = Math.max(...MODELS.map(model => agreement(model, DATA.reviews))), good = worst <= LIMIT;
  const tell = (id, className, textContent) => Object.assign(at(id), {className, textContent});
  tell('trust', good ? 'good' : 'banner',
    (good ? `Computed here, in your browser. It agrees with minilstm to ` :
    'Do not trust this page: its numbers differ from minilstm’s by ') +
      `${fmt(worst, 2)} of the largest number.`);
  at('check').onclick = () => {
    const error = checkWeights(c.reading, c.label, Date.now()), right = error < 1e-5;
    tell('checked', right ? 'good' : 'bad',
      '20 weights of W: gradient and finite differences differ by at most ' +
      `${fmt(error, 2)} of the largest entry. ${right ? 'The gradient is right.' : 'That is too much.'}`);
  };
}

function start() {
  const fill = (id, names) => at(id).append(...names.map((name, value) => h('option', {value}, name)));
  fill('model', MODELS.map(one => one.name)), fill('review', DATA.reviews.map(one => one.title));
  at('model-label').hidden = !MODELS[1];
  at('model').onchange = at('review').onchange = () => { open(), enter(), show(); };
  at('label').onchange = () => c.change(() => { c.label = +at('label').value; });
  at('text').oninput = () => c.change(() => take(c.original = at('text').value));
  at('step').oninput = () => c.set({t: +at('step').value});
  addEventListener('resize', () => c.width !== c.drawn && drawStation()), addEventListener('beforeprint', drawStation),
    addEventListener('hashchange', follow);
  matchMedia('(prefers-color-scheme: dark)').onchange = drawStation;
  open();
  trust();
  follow();
  document.documentElement.dataset.ready = performance.now().toFixed(0);
}

start();
