// A model of the page: words to vectors, the cell over them, and the answer p after each word.

function unpack({kind, rows, cols, base64}) {
  const view = new DataView(Uint8Array.from(atob(base64), letter => letter.charCodeAt(0)).buffer);
  const one = kind === 'f8' ? k => view.getFloat64(8 * k, true) : k => view.getFloat32(4 * k, true);
  return new Matrix(rows, cols, Float64Array.from({length: rows * cols}, (_, k) => one(k)));
}

function openModel(data, cells) {
  const [E, W, b, w] = ['E', 'W', 'b', 'w'].map(name => unpack(data[name])), numbers = new Map();
  data.words.forEach((word, number) => word && number && numbers.set(word, number));
  const row = number => number < data.first ? number : data.more.includes(number) ? data.first +
    data.more.indexOf(number) : -1;
  return {...data, cell: cells[data.cell], kind: data.cell, held: {}, E, weights: {W, b}, w, numbers, row,
    H: w.cols, D: E.cols};
}

// As the Tokenizer of minilstm (and of Keras) splits a text.
function wordsOf({tokenizer: {lower, filters, split, char_level}}, text) {
  const all = [...lower ? text.toLowerCase() : text], apart = new Set(filters);
  return char_level ? all : all.map(letter => apart.has(letter) ? split :
    letter).join('').split(split).filter(Boolean);
}

// A word with its row of E. 'unknown': read as the word for such words, if there is one; 'absent': the model knows it, but
// its vector is not in this page. Row -1: left out.
function lookUp(model, word) {
  const number = model.numbers.get(word), known = number !== undefined && number !== model.oov;
  const row = known ? model.row(number) : model.oov ? model.row(model.oov) : -1;
  return {word, row, kind: !known ? 'unknown' : row < 0 ? 'absent' : 'known'};
}

// Read words that were looked up: step first + k is that of items[k], ps[k] the answer after it.
function read(model, words) {
  const items = words.filter(item => item.row >= 0).slice(0, model.max_length), n = items.length;
  const T = Math.max(model.mask ? n : model.max_length, 1), first = model.padding === 'pre' && n ? T - n : 0;
  const x = new Matrix(T, model.D);
  for (let t = 0; t < T; t++) x.row(t).values.set(model.E.row(items[t - first]?.row ?? 0).values);
  const run = forward(model.cell, model.weights, x, model), logit = logitAt(model, run, T);
  const answer = t => sigmoid(logitAt(model, run, t));
  return {model, run, items, first, n, T, ps: items.map((_, k) => answer(first + k + 1)),
    before: answer(first), logit, p: answer(T)};
}

const logitAt = (model, run, t) => dot(run.h.row(t).values, model.w.values) + model.b_out;

// -ln p of the right label, from the logit, so that it never is infinite.
const lossOf = (logit, label) => Math.max(0, label ? -logit : logit) + Math.log1p(Math.exp(-Math.abs(logit)));

// Everything backwards: the cell's gradients, and dw, db_out of the layer above it.
function backFrom({run, model, T, logit}, label, rule = {}) {
  const d = rule.flow === 'p' || !label ? sigmoid(logit) : -sigmoid(-logit);
  return {...backward(run, model.w.map(v => v * d), rule), dw: run.h.row(T).map(v => v * d), db_out: d};
}

// The model with another bias of the gate that keeps the past, and with gates held at 0 or 1.
function changedModel(model, {bias = null, held = {}}) {
  const k = model.cell.gates.indexOf(model.cell.keep), b = model.weights.b.map(v => v);
  if (bias !== null && k >= 0) b.values.fill(bias, k * model.H, (k + 1) * model.H);
  return {...model, held, weights: {...model.weights, b}};
}

// One step of SGD on one text: all weights and the vectors of its words. Return {model, norm}, norm before clipping.
function learn(reading, label, rate, clip = Infinity) {
  const {model, items, first} = reading, back = backFrom(reading, label), E = model.E.map(v => v),
    rows = new Map();
  for (let t = 0; t < back.dx.rows; t++) {
    const row = items[t - first]?.row ?? 0, grad = back.dx.row(t);
    rows.set(row, rows.has(row) ? add(rows.get(row), grad) : grad);
  }
  const size = norm([back.dW, back.db, back.dw, ...rows.values()].map(grad =>
    norm(grad.values)).concat(back.db_out));
  const step = rate * Math.min(1, clip / (size || 1)), moved = (old, grad) => add(old,
    grad.map(v => -step * v));
  for (const [row, grad] of rows) E.row(row).values.set(moved(E.row(row), grad).values);
  const {W, b} = model.weights, weights = {W: moved(W, back.dW), b: moved(b, back.db)};
  return {norm: size, model: {...model, E, weights, w: moved(model.w, back.dw),
    b_out: model.b_out - step * back.db_out}};
}
