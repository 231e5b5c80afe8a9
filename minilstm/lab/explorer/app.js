// The page: its state, what happens when something changes, and the address.

const DATA = JSON.parse(at('data').textContent), MODELS = DATA.models.map(one => openModel(one, DATA.cells));

// What the stations see.
const c = {
  data: DATA, all: MODELS, base: MODELS[0], label: 1, text: '', found: [], struck: new Set(), ghost: null, t: 0, unit: 0, shown: 'h',
  from: 0, to: 0, changed: {}, clip: Infinity, answers: {}, station: STATIONS[0],

  // Everything that follows from the text, the model and what was changed.
  compute() {
    c.model = changedModel(c.base, c.changed);
    c.reading = read(c.model, c.found.filter((item, id) => Object.assign(item, {id}) && !c.struck.has(id)));
    Object.assign(c, {items: c.reading.items, n: c.reading.n, ps: c.reading.ps, run: c.reading.run, memory: c.base.kind === 'lstm' ? 'c' : 'h'});
    c.words = c.items.map(item => item.word);
    c.changes = c.ps.map((p, k) => p - (k ? c.ps[k - 1] : c.reading.before));
    c.back = backFrom(c.reading, c.label);
    const kept = alone(c.run, c.back);
    c.norms = {dh: c.along(c.back.dh), dc: c.memory === 'c' ? c.along(c.back.dc) : null, kept: kept && c.along(kept)};
    c.place();
  },
  place() {
    const inside = k => Math.max(0, Math.min(c.n - 1, k));
    Object.assign(c, {t: inside(c.t), from: inside(c.from), to: inside(c.to)});
    c.step = c.reading.first + c.t, c.env = c.run.steps[c.step], c.word = c.words[c.t];
  },
  along: rows => c.items.map((_, k) => norm(rows.row(c.reading.first + k + 1).values)),
  state: (name, k) => [...c.run.steps[c.reading.first + k][name].values],
  itemsOf: model => wordsOf(model, c.text).map(word => lookUp(model, word)).filter((_, id) => !c.struck.has(id)),
  // The old curve, word for word.
  old: (name, words) => c.ghost ? [{name: words, kind: 'ghost', values: c.items.map(item => c.ghost[name].get(item.id) ?? NaN)}] : [],

  set(values) {
    Object.assign(c, values);
    c.place();
    show();
  },
  // Change text, model or label: keep what was as a ghost, compute, and say what came of it.
  change(alter, words = '') {
    const was = c.n ? c.reading.p : null, had = c.n > 0, of = values => new Map(c.items.map((item, k) => [item.id, values[k]]));
    if (had) c.ghost = {p: was, ps: of(c.ps), dh: of(c.norms.dh)};
    alter();
    c.compute();
    c.later(words + (c.n ? `p(positive) ${prob(c.reading.p)}` + (was === null ? '.' : `, was ${prob(was)}.`) : 'There is no word to read.'));
    if (had !== c.n > 0) enter();
    show();
  },
  strike: () => c.n && c.change(() => c.struck.add(c.items[c.t].id), `“${c.word}” is struck out: `),
  replace(word) {
    const [first] = wordsOf(c.base, word), words = c.found.map(item => item.word);
    if (!first || !c.n) return say('Write one word first.');
    const {id, word: old} = c.items[c.t];
    c.change(() => {
      words[id] = first;
      c.text = at('text').value = words.join(c.base.tokenizer.char_level ? '' : ' ');
      c.found[id] = lookUp(c.base, first);
    }, `“${first}” for “${old}”: `);
  },
  undo() {
    c.change(() => { Object.assign(c, {changed: {}, clip: Infinity}), take(c.original); }, 'Undone: ');
    c.ghost = null;
    enter();
    show();
  },
  later(words) { clearTimeout(c.waiting), c.waiting = setTimeout(() => say(words), 200); },
  redraw: () => drawStation(),
  get width() { return Math.max(260, at('picture').clientWidth); },
};

const say = (words, hidden = false) => { at('said').textContent = words, at('said').className = hidden ? 'hidden' : ''; };

function take(text) {
  c.text = at('text').value = text, c.struck = new Set();
  c.found = wordsOf(c.base, text).map(word => lookUp(c.base, word));
}

function show() {
  const {reading: {T}, n, base} = c, last = c.items.at(-1)?.id ?? -1;
  const list = (kind, words) => {
    const found = [...new Set(c.found.slice(0, last + 1 || 99).filter(item => item.kind === kind).map(item => item.word))].slice(0, 12);
    return found.length ? ` · ${words}: ${found.join(', ')}` : '';
  };
  const more = c.found.filter((item, id) => id > last && item.row >= 0 && !c.struck.has(id)).length;
  at('answer').replaceChildren(...(n ? ['p(positive) = ', h('b', {}, prob(c.reading.p)), c.ghost ? `, was ${prob(c.ghost.p)}` : '', ` · ${n} word${n > 1 ? 's' : ''}`,
    T > n ? ` and ${T - n} steps of padding ${base.padding === 'pre' ? 'before' : 'after'}` : '',
    more ? ` · ${more} more are not read: this model reads ${base.max_length}` : ''] : ['There is no word to read yet. Write some.']),
  list('unknown', 'unknown to the model'), list('absent', 'not in this page, so left out'));
  const kept = new Map(c.items.map((item, k) => [item.id, k]));
  at('words').replaceChildren(...c.found.slice(0, last + 1).flatMap(({id, kind, word}) => {
    const k = kept.get(id), gone = c.struck.has(id);
    return [h('span', {class: `${gone ? 'struck' : kind}${k === c.t ? ' here' : ''}`, onclick: () => k >= 0 && c.set({t: k})}, word), ' '];
  }));
  Object.assign(at('step'), {max: Math.max(n - 1, 0), value: c.t, disabled: n < 2});
  at('step-word').textContent = n ? `${c.t + 1} of ${n}: ${c.word}` : '';
  at('step').setAttribute('aria-valuetext', at('step-word').textContent);
  const {bias, held = {}} = c.changed, parts = [...(typeof bias === 'number' ? [`a bias of ${fmt(bias)}`] : []), ...Object.entries(held).map(([name, v]) => `${bare(name)} held at ${v}`)];
  at('changed').replaceChildren(...(parts.length ? [`In all stations: ${parts.join(', ')}. `, button('Undo', c.undo)] : []));
  drawStation();
  history.replaceState(null, '', `#${c.station.id}/${c.t + 1}`);
}

function drawStation() {
  at('picture').replaceChildren(...(c.n && c.answers[c.station.id] !== undefined ? c.station.draw(c) : []).filter(Boolean));
}

// A station's question, or its answer and its controls.
function enter() {
  const {station, answers} = c, place = STATIONS.indexOf(station), next = STATIONS[place + 1], told = answers[station.id];
  at('station-title').textContent = `${place + 1}. ${station.title}`;
  at('stations').replaceChildren(...STATIONS.map((one, k) => h('li', {}, h('a', {href: '#' + one.id, 'aria-current': one === station && 'step'},
    `${k + 1}. ${one.title}${answers[one.id] === undefined ? '' : ' ✓'}`))));
  at('onward').replaceChildren(...(next && told !== undefined ? [h('a', {href: '#' + next.id}, `Next: ${next.title}`)] : []));
  at('controls').replaceChildren(...(c.n && told !== undefined ? station.controls(c).filter(Boolean) : []));
  at('question').replaceChildren(h('p', {}, station.lead), c.n ? told === undefined ? asked(station) : h('p', {}, h('b', {}, told)) : '');
}

function asked(station) {
  const {question, options, right, because} = station.ask(c);
  const answer = (value, words) => {
    c.answers[station.id] = (value === null ? '' : value === right ? 'Yes. ' : `You chose: ${words}. `) + because;
    say(c.answers[station.id], true);
    enter();
    drawStation();
    at('station').focus();
  };
  return h('fieldset', {}, h('legend', {}, 'First: what do you think?'), h('p', {}, question), h('div', {class: 'choices'},
    [...options, [null, 'I do not know']].map(([value, words]) => button(words, () => answer(value, words)))));
}

function follow() {
  const [id, t] = location.hash.slice(1).split('/'), station = STATIONS.find(one => one.id === id) ?? STATIONS[0], moved = station !== c.station;
  c.station = station;
  if (t >= 1) c.t = Math.floor(t) - 1;
  c.place();
  enter();
  show();
  if (moved) at('station').focus();
}

function open() {
  const {text, label} = DATA.reviews[at('review').value], {base} = c;
  Object.assign(c, {label, original: text, ghost: null, changed: {}, clip: Infinity, answers: {}});
  at('label').value = label;
  take(text);
  c.compute();
  const pushes = u => Math.abs(c.run.h.row(c.reading.T).values[u] * base.w.values[u]);
  Object.assign(c, {t: c.n >> 1, from: c.n >> 1, to: c.n - 1, shown: c.memory, unit: [...base.w.values.keys()].reduce((a, b) => pushes(b) > pushes(a) ? b : a)});
  c.place();
  at('about').textContent = `${base.name}: ${/^[AEIOFHLMNRSX]/.test(base.cell.name) ? 'an' : 'a'} ${base.cell.name} of ${base.H} units on vectors of ${base.D} numbers. ` +
    `This page holds ${base.E.rows.toLocaleString('en')} words and needs no network.`;
}

function trust() {
  const worst = Math.max(...MODELS.map(model => agreement(model, DATA.reviews))), result = h('p', {role: 'status'}), check = () => {
    const {error} = checkWeights(c.reading, c.label, Date.now()), good = error < 1e-5;
    result.textContent = `20 weights of W: gradient and finite differences differ by at most ${fmt(error, 2)} of the largest entry. ${good ? 'The gradient is right.' : 'That is too much.'}`;
    result.className = good ? 'good' : 'bad';
  };
  at('trust').replaceChildren(worst <= LIMIT ? h('p', {class: 'good'}, `Computed here, in your browser. It agrees with minilstm ${DATA.version} to ${fmt(Math.max(worst, 1e-17), 2)} of the largest number.`) :
    h('p', {class: 'banner', role: 'alert'}, `Do not trust this page: its numbers differ from minilstm’s by ${fmt(worst, 2)} of the largest one.`),
  button('Check 20 random weights by finite differences', check), result);
}

function start() {
  const fill = (id, names) => at(id).replaceChildren(...names.map((name, k) => h('option', {value: k}, name)));
  const anew = () => { c.base = MODELS[at('model').value], open(), enter(), show(); };
  fill('model', MODELS.map(one => one.name)), fill('review', DATA.reviews.map(one => one.title));
  at('model-label').hidden = MODELS.length < 2;
  at('model').onchange = at('review').onchange = anew;
  at('label').onchange = () => c.change(() => { c.label = +at('label').value; });
  at('text').oninput = () => c.change(() => { take(at('text').value), c.original = c.text; });
  at('step').oninput = () => c.set({t: +at('step').value});
  for (const [where, event] of [[window, 'resize'], [window, 'beforeprint'], [matchMedia('(prefers-color-scheme: dark)'), 'change']]) where.addEventListener(event, drawStation);
  addEventListener('hashchange', follow);
  open();
  trust();
  c.station = STATIONS.find(one => location.hash.startsWith('#' + one.id)) ?? STATIONS[0];
  follow();
  document.documentElement.dataset.ready = performance.now().toFixed(0);
}

start();
