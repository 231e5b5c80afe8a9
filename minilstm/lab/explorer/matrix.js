// Matrices of float64 numbers, row by row. A vector is a matrix of one row. `.T` shares the numbers.

class Matrix {
  constructor(rows, cols, values = new Float64Array(rows * cols), flipped = false) {
    this.rows = rows;
    this.cols = cols;
    this.values = values;
    this.flipped = flipped;
  }

  static of(values) { return new Matrix(1, values.length, Float64Array.from(values)); }

  get T() { return new Matrix(this.cols, this.rows, this.values, !this.flipped); }

  get shape() { return `(${this.rows}, ${this.cols})`; }

  at(i, k) { return this.values[this.flipped ? k * this.rows + i : i * this.cols + k]; }

  row(i) { return new Matrix(1, this.cols, this.values.subarray(i * this.cols, (i + 1) * this.cols)); }

  // Rows of a matrix that is not flipped; they share its numbers.
  slice(from, to) {
    return new Matrix(to - from, this.cols, this.values.subarray(from * this.cols, to * this.cols));
  }

  // Columns of one row; they share its numbers.
  part(from, to) { return new Matrix(1, to - from, this.values.subarray(from, to)); }

  plain() {
    if (!this.flipped) return this;
    const out = new Matrix(this.rows, this.cols);
    for (let i = 0; i < this.rows; i++) {
      for (let k = 0; k < this.cols; k++) out.values[i * this.cols + k] = this.at(i, k);
    }
    return out;
  }

  map(f) {
    const out = new Float64Array(this.values.length);
    for (let k = 0; k < out.length; k++) out[k] = f(this.values[k]);
    return new Matrix(this.rows, this.cols, out, this.flipped);
  }
}

function product(A, B) {
  if (!(A instanceof Matrix) || !(B instanceof Matrix)) throw new Error('@ multiplies two matrices');
  if (A.cols !== B.rows) throw new Error(`@: ${A.shape} and ${B.shape} do not fit`);
  const [n, inner, m] = [A.rows, A.cols, B.cols], out = new Matrix(n, m), [o, b] = [out.values, B.values];
  for (let i = 0; i < n; i++) {
    const row = A.flipped ? Float64Array.from({length: inner}, (_, k) => A.at(i, k)) :
      A.values.subarray(i * inner, (i + 1) * inner);
    const place = i * m, whole = inner - inner % 4;         // four at a time: twice as fast
    if (B.flipped) {                                        // its columns lie in one piece
      for (let j = 0; j < m; j++) {
        let [p, q, r, s, at] = [0, 0, 0, 0, j * inner];
        for (let k = 0; k < whole; k += 4, at += 4) {
          p += row[k] * b[at], q += row[k + 1] * b[at + 1], r += row[k + 2] * b[at + 2], s += row[k + 3] * b[at + 3];
        }
        for (let k = whole; k < inner; k++, at++) p += row[k] * b[at];
        o[place + j] = p + q + (r + s);
      }
      continue;
    }
    for (let k = 0; k < whole; k += 4) {
      const p = row[k], q = row[k + 1], r = row[k + 2], s = row[k + 3], at = k * m;
      for (let j = 0; j < m; j++) {
        o[place + j] += p * b[at + j] + q * b[at + m + j] + (r * b[at + 2 * m + j] + s * b[at + 3 * m + j]);
      }
    }
    for (let k = whole; k < inner; k++) {
      for (let j = 0; j < m; j++) o[place + j] += row[k] * b[k * m + j];
    }
  }
  return out;
}

function elementwise(f, name, a, b) {
  if (typeof a === 'number') return typeof b === 'number' ? f(a, b) : b.map(y => f(a, y));
  if (typeof b === 'number') return a.map(x => f(x, b));
  if (a.rows !== b.rows || a.cols !== b.cols) throw new Error(`${name}: ${a.shape} and ${b.shape} do not fit`);
  const [x, y] = [a.plain().values, b.plain().values], out = new Matrix(a.rows, a.cols);
  for (let k = 0; k < x.length; k++) out.values[k] = f(x[k], y[k]);
  return out;
}

const add = (a, b) => elementwise((x, y) => x + y, '+', a, b);
const times = (a, b) => elementwise((x, y) => x * y, '*', a, b);
const sigmoid = z => z < 0 ? Math.exp(z) / (1 + Math.exp(z)) : 1 / (1 + Math.exp(-z));
const largest = values => values.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
const dot = (a, b) => a.reduce((sum, x, k) => sum + x * b[k], 0);

// The norm of a vector, even where squares would underflow.
function norm(values) {
  const scale = largest(values);
  return scale > 0 && scale < Infinity ? scale * Math.sqrt(values.reduce((s, x) => s + (x / scale) ** 2, 0)) : scale;
}

// Rows side by side.
function beside(rows) {
  const out = new Matrix(1, rows.reduce((sum, row) => sum + row.cols, 0));
  let place = 0;
  for (const row of rows) out.values.set(row.values, place), place += row.cols;
  return out;
}
