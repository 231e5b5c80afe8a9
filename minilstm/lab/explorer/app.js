// The page: its state, what happens when something changes, and the address.

const DATA = JSON.parse(at('data').textContent), MODELS = DATA.models.map(one => openModel(one, DATA.cells));

// What the stations see. `set` changes it and redraws.
const c = {
  data: DATA, all: MODELS, base: MODELS[0], label: 1, text: '', found: [], struck: new Set(), ghost: null, t: 0, unit: 0, shown: 'h',
  from: 0, to: 0, change: {}, clip: Infinity, answers: {}, station: STATIONS[0], drawn: null,

  // Everything that follows from the text, the model and the change.
  compute() {
    c.model = changedModel(c.base, c.change);
    c.found.forEach((item, k) => { item.id = k; });
    c.reading = read(c.model, c.found.filter(item => !c.struck.has(item.id)));
    Object.assign(c, {items: c.reading.items, n: c.reading.n, ps: c.reading.ps, run: c.reading.run});
    c.words = c.items.map(item => item.word);
    c.changes = c.ps.map((p, k) => p - (k ? c.ps[k - 1] : c.reading.before));
    c.back = c.n ? backFrom(c.reading, c.label) : null;
    c.place(c.t);
    const first = c.reading.first + 1, size = M => c.words.map((_, k) => norm(M.row(first + k).values));
    const kept = c.n && alone(c.run, c.back);
    c.norms = c.n ? {dh: size(c.back.dh), dc: c.model.kind === 'lstm' ? size(c.back.dc) : null, kept: kept ? size(kept) : null} : {};
  },
  place(t) {
    c.t = Math.max(0, Math.min(c.n - 1, t));
    c.step = c.reading.first + c.t;
    c.env = c.run.steps[c.step], c.word = c.words[c.t];
    Object.assign(c, {from: Math.min(c.from, Math.max(c.n - 1, 0)), to: Math.min(c.to, Math.max(c.n - 1, 0))});
  },
  state: (name, k) => [...(c.run.steps[c.reading.first + k][name]).values],
  itemsOf: model => wordsOf(model, c.text).map(word => lookUp(model, word)).filter((_, k) => !c.struck.has(k)),
  keepGhost() {
    const of = values => new Map(c.items.map((item, k) => [item.id, values?.[k]]));
    c.ghost = {p: c.reading.p, n: c.n, ps: of(c.ps), dh: of(c.norms.dh)};
  },
  ghostCurve: (name, words) => c.ghost && c.n ? [{name: words, kind: 'ghost', values: c.items.map(item => c.ghost[name].get(item.id) ?? NaN)}] : [],
  pick: t => c.set({t}),

  set(values, why = '') {
    if (why && c.n) c.keepGhost();
    const was = c.reading.p;
    Object.assign(c, values);
    if (why) c.compute();
    else c.place(c.t);
    if (why) say(c.n ? `p(positive) ${prob(c.reading.p)}, was ${prob(was)}.` : 'There is no word to read.');
    show();
  },
  // The station draws into the wide column.
  get width() { return Math.max(260, at('picture').clientWidth); },
  strike() {
    const {id, word} = c.items[c.t] ?? {}, back = c.lastStruck;
    if (back !== undefined && c.lastStruckAt === c.t && c.struck.has(back)) return c.putBack(back);
    if (id === undefined) return;
    c.lastStruck = id, c.lastStruckAt = c.t;
    c.set({struck: new Set([...c.struck, id])}, `struck ${word}`);
  },
  putBack(id) {
    c.struck.delete(id);
    c.set({struck: c.struck}, 'put back');
  },
  replace(word) {
    const [first] = wordsOf(c.base, word), item = c.items[c.t];
    if (!first || !item) return say('Write one word first.');
    c.keepGhost();
    const was = c.reading.p, kept = c.ghost;
    c.found[item.id] = {...lookUp(c.base, first), id: item.id};
    c.text = c.found.map(one => one.word).join(c.base.tokenizer.char_level ? '' : ' ');
    at('text').value = c.text;
    c.compute();
    c.ghost = kept;
    say(`“${first}” for “${item.word}”: p(positive) ${prob(c.reading.p)}, was ${prob(was)}.`);
    show();
  },
  undo() {
    const was = c.reading.p;
    c.struck = new Set(), c.change = {}, c.clip = Infinity;
    c.read(c.original);
    c.ghost = null;
    say(`All changes undone: p(positive) ${prob(c.reading.p)}, was ${prob(was)}.`);
    at('text').value = c.text;
    show();
  },
  read(text) {
    c.text = text, c.struck = new Set();
    c.found = wordsOf(c.base, text).map(word => lookUp(c.base, word));
    c.compute();
  },
  later: words => { clearTimeout(c.waiting); c.waiting = setTimeout(() => say(words), 300); },
  redraw: () => drawStation(),
  enter: () => enterStation(),
};

const say = words => { at('said').textContent = words; };

function show() {
  const unknown = kind => [...new Set(c.found.filter(item => item.kind === kind).map(item => item.word))].slice(0, 12).join(', ');
  const after = c.found.filter(item => item.row >= 0 && !c.struck.has(item.id)).length - c.n, side = c.reading.T - c.n;
  at('answer').replaceChildren(...(c.n ? [
    'p(positive) = ', h('b', {}, prob(c.reading.p)), c.ghost ? `, was ${prob(c.ghost.p)}` : '', ` · ${c.n} word${c.n > 1 ? 's' : ''}`,
    side > 0 ? ` and ${side} steps of padding ${c.model.padding === 'pre' ? 'before' : 'after'} them` : '',
    after > 0 ? ` · ${after} more words are not read: the model reads ${c.model.max_length}` : '',
    unknown('unknown') ? ` · unknown to the model: ${unknown('unknown')}` : '',
    unknown('absent') ? ` · not in this page, left out: ${unknown('absent')} (--words all keeps every word)` : ''] :
    ['There is no word to read yet. Write some.']));
  const kept = new Map(c.items.map((item, k) => [item.id, k])), last = c.items.at(-1)?.id ?? -1;
  at('words').replaceChildren(...c.found.slice(0, Math.max(last + 1, 1)).flatMap(item => {
    const k = kept.get(item.id), gone = c.struck.has(item.id);
    return [h('span', {class: `${gone ? 'struck' : item.kind}${k === c.t ? ' here' : ''}`,
                       onclick: () => gone ? c.putBack(item.id) : k >= 0 && c.pick(k)}, item.word), ' '];
  }));
  Object.assign(at('step'), {max: Math.max(c.n - 1, 0), value: c.t, disabled: c.n < 2});
  const words = c.n ? `${c.t + 1} of ${c.n}: ${c.word}` : 'none';
  at('step-word').textContent = words;
  at('step').setAttribute('aria-valuetext', words);
  const {bias = null, held = {}} = c.change, parts = [...(bias !== null ? [`the bias is ${bias}`] : []), ...Object.entries(held).map(([name, v]) => `${symbol(name).replace('_t', '')} is held at ${v}`)];
  at('changed').replaceChildren(...(parts.length ? [`Changed in all stations: ${parts.join(', ')}. `, h('button', {type: 'button', onclick: () => { c.undo(); enterStation(); }}, 'Undo')] : []));
  drawStation();
  const hash = `#${c.station.id}/${c.t + 1}`;
  if (location.hash !== hash) history.replaceState(null, '', hash);
}

function drawStation() {
  const answered = c.answers[c.station.id] !== undefined;
  at('picture').replaceChildren(...(answered && c.n ? c.station.draw(c) : []));
}

function enterStation() {
  const {station} = c, place = STATIONS.indexOf(station), next = STATIONS[place + 1];
  at('station-title').textContent = `${place + 1}. ${station.title}`;
  at('stations').replaceChildren(...STATIONS.map((one, k) => h('li', {}, h('a', {
    href: '#' + one.id, 'aria-current': one === station ? 'step' : null}, `${k + 1}. ${one.title}${c.answers[one.id] === undefined ? '' : ' ✓'}`))));
  at('onward').replaceChildren(...(next ? [h('a', {href: '#' + next.id}, `Next: ${next.title}`)] : []));
  at('controls').replaceChildren();
  if (!c.n) at('question').replaceChildren(h('p', {}, station.lead));
  else askQuestion(station);
  drawStation();
}

function askQuestion(station) {
  const answered = c.answers[station.id];
  if (answered !== undefined) {
    at('question').replaceChildren(h('p', {}, station.lead), h('p', {}, h('b', {}, answered)));
    at('controls').replaceChildren(h('div', {class: 'row'}, station.controls(c)));
    return;
  }
  const {question, options, right, because} = station.ask(c);
  const answer = (value, words) => {
    const told = value === null ? because : `${value === right ? 'Yes' : `You chose: ${words}`}. ${because}`;
    c.answers[station.id] = told;
    say(told);
    enterStation();
    at('station').focus();
  };
  at('question').replaceChildren(h('p', {}, station.lead), h('fieldset', {}, h('legend', {}, 'First, what do you think?'), h('p', {}, question),
    h('div', {class: 'choices'}, [...options, [null, 'I do not know']].map(([value, words]) => h('button', {type: 'button', onclick: () => answer(value, words)}, words)))));
}

function follow() {
  const [id, t] = location.hash.slice(1).split('/'), station = STATIONS.find(one => one.id === id) ?? STATIONS[0], moved = station !== c.station;
  c.station = station;
  if (Number(t) >= 1) c.place(Math.floor(Number(t)) - 1);
  if (moved) mark('');
  enterStation();
  show();
  if (moved) at('station').focus();
}

function openReview(k) {
  const {text, label} = DATA.reviews[k];
  Object.assign(c, {label, original: text, ghost: null, change: {}, answers: {}});
  at('label').value = String(label), at('text').value = text;
  c.read(text);
  c.t = 0, c.to = Math.max(0, c.n - 1), c.from = Math.floor(c.n / 2), c.shown = memory(c);
  const last = c.run.h.row(c.reading.T).values;
  c.unit = last.reduce((best, v, u) => Math.abs(v * c.base.w.values[u]) > Math.abs(last[best] * c.base.w.values[best]) ? u : best, 0);
  c.place(Math.floor(c.n / 2));
}

function trust() {
  const worst = Math.max(...MODELS.map(model => agreement(model, DATA.reviews))), good = worst <= LIMIT;
  const result = h('p', {role: 'status'}), button = h('button', {type: 'button', class: 'check', onclick() {
    const {error} = checkWeights(c.reading, c.label, Date.now());
    result.textContent = `20 weights of W, drawn at random: gradient and finite differences differ by at most ${fmt(error, 2)} of the largest entry. ` +
      (error < 1e-5 ? 'The gradient is right.' : 'That is too much.');
    result.className = error < 1e-5 ? 'good' : 'bad';
  }}, 'Check 20 random weights by finite differences');
  at('trust').replaceChildren(good ? h('p', {class: 'good'}, `Computed in your browser; it agrees with minilstm ${DATA.version} to ${fmt(Math.max(worst, 1e-17), 2)} of each largest number.`) :
    h('p', {class: 'banner', role: 'alert'}, `Do not trust this page: its numbers differ from minilstm’s by ${fmt(worst, 2)} of the largest one.`), button, result);
}

function start() {
  at('model').replaceChildren(...MODELS.map((one, k) => h('option', {value: k}, one.name)));
  at('model-label').hidden = MODELS.length < 2;
  at('review').replaceChildren(...DATA.reviews.map((one, k) => h('option', {value: k}, one.title)));
  at('model').onchange = () => { c.base = MODELS[at('model').value]; openReview(Number(at('review').value)); about(); enterStation(); show(); };
  at('review').onchange = () => { openReview(Number(at('review').value)); enterStation(); show(); };
  at('label').onchange = () => { c.label = Number(at('label').value); c.set({}, 'label'); };
  at('text').oninput = () => {
    const was = c.reading.p, had = c.n;
    if (had) c.keepGhost();
    const ghost = c.ghost;
    c.read(at('text').value);
    c.original = c.text;
    c.ghost = ghost;
    c.later(c.n ? `p(positive) ${prob(c.reading.p)}` + (had ? `, was ${prob(was)}.` : '.') : 'There is no word to read.');
    if (Boolean(had) !== Boolean(c.n)) enterStation();
    show();
  };
  at('step').oninput = () => c.set({t: Number(at('step').value)});
  addEventListener('hashchange', follow);
  addEventListener('resize', () => drawStation());
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => drawStation());
  openReview(0);
  about();
  trust();
  c.station = STATIONS.find(one => location.hash.startsWith('#' + one.id)) ?? STATIONS[0];
  follow();
  document.documentElement.dataset.ready = performance.now().toFixed(0);
}

function about() {
  const {name, D, H, E, cell} = c.base;
  at('about').textContent = `${MODELS.length > 1 ? '' : `${name}: `}${cell.name} with ${H} units, word vectors of ${D} numbers, vectors of ${E.rows.toLocaleString('en')} words in this page. Nothing leaves it: it needs no network.`;
}

start();
