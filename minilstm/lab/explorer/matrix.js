// Matrices of float64 numbers, row by row. A vector is a matrix of one row. `.T` shares the numbers.

class Matrix {
  constructor(rows, cols, values = new Float64Array(rows * cols), flipped = false) {
    Object.assign(this, {rows, cols, values, flipped});
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

  map(f) { return new Matrix(this.rows, this.cols, this.values.map(f), this.flipped); }
}

function product(A, B) {
  if (!(A instanceof Matrix) || !(B instanceof Matrix)) throw new Error('@ multiplies two matrices');
  if (A.cols !== B.rows) throw new Error(`@: ${A.shape} and ${B.shape} do not fit`);
  const [n, inner, m] = [A.rows, A.cols, B.cols], out = new Matrix(n, m), [o, b] = [out.values, B.values];
  for (let i = 0; i < n; i++) {
    if (B.flipped) {                    // its columns lie in one piece
      for (let j = 0; j < m; j++) {
        let sum = 0;
        for (let k = 0; k < inner; k++) sum += A.at(i, k) * b[j * inner + k];
        o[i * m + j] = sum;
      }
      continue;
    }
    for (let k = 0; k < inner; k++) {
      const a = A.at(i, k), start = k * m, place = i * m;
      if (a !== 0) for (let j = 0; j < m; j++) o[place + j] += a * b[start + j];
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

// Rows on top of each other.
function stacked(rows) {
  const out = new Matrix(rows.length, rows[0].cols);
  rows.forEach((row, i) => out.values.set(row.values, i * out.cols));
  return out;
}

// Rows side by side.
const beside = rows => Matrix.of(rows.flatMap(row => [...row.values]));
