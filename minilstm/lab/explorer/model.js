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
  return {...data, cell: cells[data.lines], kind: data.cell, E, weights: {W, b}, w, numbers, more, H: w.cols, D: E.cols};
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

// Read words that were looked up. Return {run, items, first, ps, before, p, logit}: items are the n words read, step
// first + k is that of items[k], ps[k] the answer after it.
function read(model, items, options = {}) {
  const kept = items.filter(item => item.row >= 0).slice(0, model.max_length), n = kept.length;
  const T = model.mask ? n : model.max_length, first = model.padding === 'pre' ? T - n : 0;
  const x = new Matrix(Math.max(T, 1), model.D);
  for (let t = 0; t < x.rows; t++) x.row(t).values.set(model.E.row(kept[t - first]?.row ?? 0).values);
  const run = forward(model.cell, options.weights ?? model.weights, x, options);
  const head = options.head ?? model, logits = k => dot(run.h.row(k).values, head.w.values) + head.b_out;
  const ps = kept.map((_, k) => sigmoid(logits(first + k + 1)));
  return {model, run, items: kept, first, n, T: x.rows, ps, before: sigmoid(logits(first)),
          logit: logits(x.rows), p: sigmoid(logits(x.rows)), head};
}

// -ln p of the right label, from the logit, so that it never is infinite.
const lossOf = (logit, label) => { const z = label ? -logit : logit; return Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z))); };

// Everything backwards: the cell's gradients, and dw, db_out of the layer above it.
function backFrom(reading, label, rule = {}) {
  const d = rule.flow === 'p' ? reading.p : label ? -sigmoid(-reading.logit) : reading.p, {run, head, T} = reading;
  return {...backward(run, head.w.map(v => v * d), rule), dw: run.h.row(T).map(v => v * d), db_out: d};
}
