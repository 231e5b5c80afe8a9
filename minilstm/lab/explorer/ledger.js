// One step as a ledger, each line with its numbers for one unit, and as a picture.

const symbol = name => ({c_tilde: 'c̃_t', h_prev: 'h_{t-1}', c_prev: 'c_{t-1}'})[name] ??
  (/^[a-z]$/.test(name) ? name + '_t' : name.replace('c_tilde', 'c̃'));
const bare = name => plain(symbol(name)).replace('ₜ₋₁', ' before').replace('ₜ', '');

// Mark a symbol wherever it stands.
function mark(name) {
  c.marked = name;
  document.querySelectorAll('[data-sym]').forEach(one => one.classList.toggle('marked', one.dataset.sym === name));
}

// A line with the numbers of one unit.
const withNumbers = (line, env, unit) => line.replace(/\*\*2/g, '²').replace(/[A-Za-z_]\w*/g, name => {
  const value = env[name]?.values[unit];
  return value === undefined ? name.replace('sigma', 'σ') : value < 0 ? `(${fmt(value)})` : fmt(value);
}).replace(/\((\([^()]*\))\)/g, '$1').replace(/ \* /g, ' · ').replace(/ - /g, ' − ');

const ledger = (title, rows) => table(title, ['symbol', 'line', 'with numbers', 'value'],
  rows.map(({sym, number, text, numbers, value}) =>
  Object.assign([[number && h('small', {}, number + '. '),
    h('button', {type: 'button', onfocus: () => mark(sym), onclick: () => mark(sym)}, h('i', {}, plain(symbol(sym))))],
                 formula(text), numbers, fmt(value)].map(cell => h('td', {}, cell)), {sym})),
                   {class: 'ledger'});
const rightSide = text => text.slice(text.indexOf(' = ') + 3);

const forwardLedger = ({model, run, env, unit, word}) => ledger(`Forward at “${word}”, unit ${unit}`,
  model.cell.forward.map(
  ([sym, line, text]) => ({sym, text: rightSide(text), value: env[sym].values[unit],
    numbers: Object.hasOwn(run.held, sym) ? `held at ${run.held[sym]}` : withNumbers(line, env, unit)})));

// A gate's sum: its five largest terms, the rest, the bias.
function sumTerms({model, env, unit}, gate) {
  const {W, b} = model.weights, H = model.H, column = model.cell.gates.indexOf(gate) * H + unit,
    share = one => one.w * one.value;
  const terms = [...env.h_prev.values, ...env.x.values].map((value, k) => ({
    name: k < H ? `h before, unit ${k}` : `x, feature ${k - H}`, w: W.values[k * W.cols + column], value}));
  terms.sort((p, q) => Math.abs(share(q)) - Math.abs(share(p)));
  return tableOf(`Inside ${bare(gateSymbol(gate))}: a sum of ${terms.length} terms and a bias`,
    ['from', 'w · value', 'share'], () => [
    ...terms.slice(0, 5).map(one => [one.name, `${fmt(one.w)} · ${fmt(one.value)}`, fmt(share(one))]),
    [`the other ${terms.length - 5}`, '', fmt(terms.slice(5).reduce((sum, one) => sum + share(one), 0))],
    ['bias', '', fmt(b.values[column])]]);
}

function backwardLedger({model, back, step, unit, word}) {
  const env = back.steps[step], value = name => env[name].values[unit], H = model.H,
    W_h = model.weights.W.slice(0, H);
  const shares = model.cell.past.map((name, k) => `${fmt(dot(env.da_h.part(k * H, (k + 1) * H).values,
    gateRows(W_h, k).row(unit).values))} (${plain(symbol(name))})`);
  if (env.direct) shares.unshift(`${fmt(env.direct.values[unit])} (direct)`);
  return ledger(`Backward at “${word}”, unit ${unit}`, [
    {sym: 'dh', text: 'above + dh_{t+1}', value: value('dh'),
      numbers: `${fmt(value('dh_above'))} from the loss + ${fmt(value('dh_next'))} from the next word`},
    ...model.cell.backward.filter(([number]) => number > 2).map(([number, sym, line, text]) =>
      ({sym, number, text: rightSide(text),
      value: sym === 'dh_prev' ? env.direct.values[unit] : value(sym), numbers: sym === 'dc' ?
        `${fmt(value('dc_next'))} from the next word + ${fmt(value('dc') - value('dc_next'))} through h` :
          withNumbers(line, env, unit)})),
    {sym: 'dh_prev', number: 1, text: env.direct ? 'dh_prev + da W_hᵀ' : 'dz W_hᵀ',
      numbers: shares.join(' + '), value: value('dh_prev')}]);
}

// The cell as a diagram. Boxes and operations are [symbol, x, y].
function cellPicture({model, env, unit}) {
  const {boxes, marks, wires} = model.cell.picture;
  const box = (x, y, half, tall, rx) => s('rect', {class: 'box', x: x - half, y: y - tall, width: 2 * half,
    height: 2 * tall, rx});
  return s('svg', {class: 'cell', viewBox: '0 0 390 262', role: 'img', width: '100%', 'aria-label':
    `The cell as a diagram, with the ledger’s numbers of unit ${unit}.`}, s('path',
      {class: 'wire', d: wires}),
  marks.map(([text, x, y]) => [box(x, y, 8 + 4 * text.length, 11, 11), s('text', {x, y: y + 4}, text)]),
  boxes.map(([sym, x, y]) => s('g', {'data-sym': sym, onclick: () => mark(sym)}, box(x, y, 28, 19, 5),
    s('text', {x, y: y - 3}, bare(sym)),
    s('text', {class: 'value', x, y: y + 13}, sym === 'x' ? 'the word' : fmt(env[sym].values[unit])))));
}
