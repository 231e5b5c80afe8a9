// A model of the page: words to vectors, the cell over them, and the answer p after each word.

function unpack({kind, rows, cols, base64}) {
  const bytes = Uint8Array.from(atob(base64), letter => letter.charCodeAt(0)), view = new DataView(bytes.buffer);
  const size = kind === 'f8' ? 8 : 4, out = new Matrix(rows, cols);
  for (let k = 0; k < rows * cols; k++) {
    out.values[k] = size === 8 ? view.getFloat64(k * size, true) : view.getFloat32(k * size, true);
  }
  return out;
}

function openModel(data, cells) {
  const [E, W, b, w] = ['E', 'W', 'b', 'w'].map(name => unpack(data[name]));
  const numbers = new Map(data.words.map((word, number) => [word, number]).slice(1));
  const more = new Map(data.more.map((number, k) => [number, data.first + k]));
  numbers.delete('');
  return {...data, cell: cells[data.lines], kind: data.cell, held: {}, E, weights: {W, b}, w, numbers, more, H: w.cols, D: E.cols};
}

// As the Tokenizer of minilstm (and of Keras) splits a text.
function wordsOf({tokenizer: {lower, filters, split, char_level}}, text) {
  const all = lower ? text.toLowerCase() : text;
  if (char_level) return [...all];
  const apart = new Set(filters);
  return [...all].map(letter => apart.has(letter) ? split : letter).join('').split(split).filter(Boolean);
}

// Each word with its row of E, and what it is: 'known', 'unknown' (read as the out-of-vocabulary word), 'absent' (the
// model knows it, this page lacks its vector: left out), 'dropped' (unknown, and such words are left out).
function lookUp(model, word) {
  const rowOf = number => number < model.first ? number : model.more.get(number) ?? -1, number = model.numbers.get(word);
  if (number !== undefined && number !== model.oov) {
    const row = rowOf(number);
    return {word, row, kind: row < 0 ? 'absent' : 'known'};
  }
  return {word, row: model.oov ? rowOf(model.oov) : -1, kind: model.oov ? 'unknown' : 'dropped'};
}

// Read words that were looked up. Return {run, items, first, n, T, ps, before, p, logit}: items are the n words read, step
// first + k is that of items[k], ps[k] the answer after it, before that before the first word.
function read(model, items) {
  const kept = items.filter(item => item.row >= 0).slice(0, model.max_length), n = kept.length;
  const T = Math.max(model.mask ? n : model.max_length, 1), first = model.padding === 'pre' && n ? T - n : 0;
  const x = new Matrix(T, model.D);
  for (let t = 0; t < T; t++) x.row(t).values.set(model.E.row(kept[t - first]?.row ?? 0).values);
  const run = forward(model.cell, model.weights, x, {held: model.held});
  const logits = k => dot(run.h.row(k).values, model.w.values) + model.b_out, logit = logits(T);
  return {model, run, items: kept, first, n, T, ps: kept.map((_, k) => sigmoid(logits(first + k + 1))),
          before: sigmoid(logits(first)), logit, p: sigmoid(logit)};
}

// -ln p of the right label, from the logit, so that it never is infinite.
function lossOf(logit, label) {
  const z = label ? -logit : logit;
  return Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z)));
}

// Everything backwards: the cell's gradients, and dw, db_out of the layer above it.
function backFrom(reading, label, rule = {}) {
  const d = rule.flow === 'p' ? reading.p : label ? -sigmoid(-reading.logit) : reading.p, {run, model, T} = reading;
  return {...backward(run, model.w.map(v => v * d), rule), dw: run.h.row(T).map(v => v * d), db_out: d};
}

// The model with a change: {bias: of the gate that keeps the past, held: {gate: 0 or 1}}.
function changedModel(model, {bias = null, held = {}}) {
  const gate = {lstm: 'f', gru: 'z'}[model.kind], b = model.weights.b.map(v => v), k = model.cell.gates.indexOf(gate);
  if (bias !== null && gate) b.values.fill(bias, k * model.H, (k + 1) * model.H);
  return {...model, held, weights: {...model.weights, b}};
}

// One step of SGD on one text: all weights and the vectors of its words. Return {model, norm}, norm before clipping.
function learn(reading, label, rate, clip = Infinity) {
  const {model, items, first} = reading, back = backFrom(reading, label), E = model.E.map(v => v), grads = [
    [model.weights.W, back.dW], [model.weights.b, back.db], [model.w, back.dw]].map(([old, grad]) => [old, grad.plain()]);
  const words = new Map();
  for (let t = 0; t < back.dx.rows; t++) {
    const row = items[t - first]?.row ?? 0;
    words.set(row, words.has(row) ? add(words.get(row), back.dx.row(t)) : back.dx.row(t));
  }
  const total = norm([...grads.map(([, grad]) => grad), ...words.values()].map(grad => norm(grad.values)).concat(back.db_out));
  const size = rate * Math.min(1, clip / (total || 1)), moved = (old, grad) => add(old, grad.map(v => -size * v));
  for (const [row, grad] of words) E.row(row).values.set(moved(E.row(row), grad).values);
  const [W, b, w] = grads.map(pair => moved(...pair));
  return {norm: total, model: {...model, E, w, weights: {W, b}, b_out: model.b_out - size * back.db_out}};
}
