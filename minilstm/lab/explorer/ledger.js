// One step as a ledger: each equation (each line of the derivation) with its numbers for one unit; and a picture of the cell.

const SIGNS = {c_tilde: 'c̃', h_prev: 'h_{t-1}', c_prev: 'c_{t-1}', x: 'x_t'};
const symbol = name => SIGNS[name] ?? (/^[a-z]$/.test(name) ? name + '_t' : name.replace('c_tilde', 'c̃'));

function mark(name) {
  for (const one of document.querySelectorAll('[data-sym]')) one.classList.toggle('marked', one.dataset.sym === name);
}

// A symbol as a button: focusing it marks the same symbol wherever it stands.
const symbolButton = name => h('button', {type: 'button', 'data-sym': name, onfocus: () => mark(name), onclick: () => mark(name)},
  formula(symbol(name)));

// A line with the numbers of one unit in place of its names.
function withNumbers(line, env, unit, other = {}) {
  return line.replace(/\*\*2/g, '²').replace(/[A-Za-z_]\w*/g, name => {
    const value = other[name] ?? env[name]?.values?.[unit];
    return value === undefined ? {sigma: 'σ'}[name] ?? name : value < 0 ? `(${fmt(value)})` : fmt(value);
  }).replace(/ \* /g, ' · ').replace(/ - /g, ' − ');
}

const ledger = (title, rows) => h('table', {class: 'ledger'}, h('caption', {class: 'soft'}, title),
  h('thead', {}, h('tr', {}, ['symbol', 'line', 'with numbers', 'value'].map(name => h('th', {scope: 'col'}, name)))),
  h('tbody', {}, rows.map(({name, number, text, numbers, value}) => h('tr', {'data-sym': name},
    h('td', {}, number ? h('small', {}, number + '. ') : '', symbolButton(name)), h('td', {}, formula(text)),
    h('td', {}, numbers), h('td', {class: 'number'}, fmt(value))))));

function forwardLedger({model, run, step, unit, word}) {
  const env = run.steps[step];
  return ledger(`Forward at “${word}”, unit ${unit}`, model.cell.forward.map(([target, line, text]) => ({
    name: target, text: text.split(' = ').slice(1).join(' = '), value: env[target].values[unit],
    numbers: Object.hasOwn(run.held, target) ? `held at ${run.held[target]}` : withNumbers(line, env, unit)})));
}

// What a gate's sum z (a) is made of: its five largest terms, the rest, the bias.
function sumTerms({model, run, step, unit}, gate) {
  const {W, b} = model.weights, env = run.steps[step], H = model.H, column = model.cell.gates.indexOf(gate) * H + unit;
  const terms = [...env.h_prev.values, ...env.x.values].map((value, k) => ({
    text: `${k < H ? `h_{t-1}, unit ${k}` : `x_t, feature ${k - H}`}`, w: W.values[k * W.cols + column], value}));
  terms.sort((p, q) => Math.abs(q.w * q.value) - Math.abs(p.w * p.value));
  const whole = env['a_' + gate].values[unit], rest = terms.slice(5).reduce((sum, one) => sum + one.w * one.value, 0);
  const rows = terms.slice(0, 5).map(one => [one.text.replace('_{t-1}', ' before'), `${fmt(one.w)} · ${fmt(one.value)}`,
                                             fmt(one.w * one.value)]);
  return tableOf(`What the sum inside ${symbol(gate === 'c' ? 'c_tilde' : gate)} is made of: ${fmt(whole)}`, ['from', 'w · value', 'share'],
    () => [...rows, [`the other ${terms.length - 5}`, '', fmt(rest)], ['bias', '', fmt(b.values[column])]]);
}

function backwardLedger({model, run, back, step, unit, word}) {
  const env = back.steps[step], at = name => env[name].values[unit], T = run.steps.length, rows = [{
    name: 'dh', text: 'dh = above + dh_{next}', value: at('dh'),
    numbers: `${fmt(at('dh_above'))} from the loss + ${fmt(at('dh_next'))} from step t+1`}];
  for (const [number, target, line, text] of model.cell.backward) {
    if (number < 3) continue;
    const right = text.split(' = ').slice(1).join(' = '), coming = target === 'dc' ? {dc: at('dc_next')} : {};
    const direct = target === 'dh_prev' ? env.direct : env[target];
    const local = at('dc') - at('dc_next');
    rows.push({name: target, number, text: right, value: direct.values[unit], numbers: target === 'dc' ?
      `${fmt(at('dc_next'))} from step t+1 + ${fmt(local)} through h_t` : withNumbers(line, env, unit, coming)});
  }
  const shares = model.cell.past.map((name, k) => {
    const gate = columnsOf(model.weights.W.slice(0, model.H), k, model.H);
    return `${fmt(dot(env.da_h.part(k * model.H, (k + 1) * model.H).values, gate.row(unit).values))} (${symbol(name)})`;
  });
  if (env.direct) shares.unshift(`${fmt(env.direct.values[unit])} (direct)`);
  rows.push({name: 'dh_prev', number: 1, text: env.direct ? 'dh_prev + da W_hᵀ' : 'dz W_hᵀ', numbers: shares.join(' + '),
             value: at('dh_prev')});
  return ledger(`Backward at “${word}”, unit ${unit}${step === T - 1 ? ', the last step' : ''}`, rows);
}

// The cell: [symbol, x, y] of its boxes, [what, x, y] of its operations, and its wires.
const CELL = {
  lstm: {boxes: [['c_prev', 30, 40], ['f', 95, 130], ['i', 160, 130], ['c_tilde', 225, 130], ['o', 290, 130], ['c', 345, 40],
                 ['h_prev', 30, 190], ['x', 30, 236], ['h', 345, 190]],
         marks: [['×', 95, 40], ['+', 192, 40], ['×', 192, 86], ['tanh', 290, 86], ['×', 290, 190]],
         wires: 'M52 40H345M95 110V40M160 110V86H225V110M192 86V40M310 40V66M310 66L290 78M290 110V94M302 130V180' +
                'M290 190H325M52 190H250V160H95V150M160 150V160M225 150V160M290 150V160H250M52 236H70V190'},
  gru: {boxes: [['h_prev', 30, 40], ['r', 110, 150], ['z', 180, 150], ['q', 110, 86], ['n', 265, 100], ['x', 30, 220], ['h', 345, 40]],
        marks: [['×', 180, 40], ['+', 265, 40], ['×', 180, 100], ['1−z', 222, 128]],
        wires: 'M52 40H345M180 130V40M52 40V86H90M130 86H180V100H245M110 130V110H180M265 80V40M200 150H222V60H265' +
               'M30 60V190H180V170M110 170V190M30 200V190M265 120V190H180'},
  rnn: {boxes: [['h_prev', 40, 60], ['x', 40, 170], ['h', 310, 60]], marks: [['+', 150, 60], ['tanh', 220, 60]],
        wires: 'M62 60H290M62 170H150V60'},
};

function cellPicture({model, run, step, unit}) {
  const {boxes, marks, wires} = CELL[model.kind], env = run.steps[step], sign = name => symbol(name).replace(/_\{?t-1\}?/, ' before').replace('_t', '');
  return s('svg', {class: 'cell', viewBox: '0 0 380 262', role: 'img', style: 'width:100%',
                   'aria-label': `The cell with the numbers of unit ${unit}; the ledger gives the same numbers.`},
    s('path', {class: 'wire', d: wires}),
    marks.map(([text, x, y]) => s('g', {}, s('rect', {class: 'box', x: x - 8 - 4 * text.length, y: y - 11, width: 16 + 8 * text.length, height: 22, rx: 11}),
      s('text', {x, y: y + 4}, text))),
    boxes.map(([name, x, y]) => s('g', {'data-sym': name, onclick: () => mark(name)},
      s('rect', {class: 'box', x: x - 28, y: y - 19, width: 56, height: 38, rx: 5}), s('text', {x, y: y - 3}, sign(name)),
      name === 'x' ? s('text', {class: 'value', x, y: y + 13}, 'the word') : s('text', {class: 'value', x, y: y + 13}, fmt(env[name].values[unit])))));
}
