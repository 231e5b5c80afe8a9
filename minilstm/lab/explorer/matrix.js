// Matrices of float64 numbers, row by row. A vector has one row. `.T`, `slice` and `row` share the numbers.

class Matrix {
  constructor(rows, cols, values = new Float64Array(rows * cols), flipped = false) {
    this.rows = rows, this.cols = cols, this.values = values, this.flipped = flipped;
  }

  get T() { return this.turned ??= new Matrix(this.cols, this.rows, this.values, !this.flipped); }

  get shape() { return `(${this.rows}, ${this.cols})`; }

  slice(from, to) {
    return new Matrix(to - from, this.cols, this.values.subarray(from * this.cols, to * this.cols));
  }

  row(i) { return this.slice(i, i + 1); }

  // Some columns; those of one row share its numbers.
  part(from, to) {
    if (this.rows === 1) return new Matrix(1, to - from, this.values.subarray(from, to));
    return this.T.plain().slice(from, to).T;
  }

  // The same, not flipped. The copy is kept: do not change the numbers afterwards.
  plain() {
    if (!this.flipped || this.copy) return this.copy ?? this;
    const {rows, cols, values} = this, {values: out} = this.copy = new Matrix(rows, cols);
    for (let i = 0; i < rows; i++) for (let k = 0; k < cols; k++) out[i * cols + k] = values[k * rows + i];
    return this.copy;
  }

  map(f) {
    const out = new Float64Array(this.values.length);
    for (let k = 0; k < out.length; k++) out[k] = f(this.values[k]);
    return new Matrix(this.rows, this.cols, out, this.flipped);
  }
}

function product(A, B) {
  if (A.cols === undefined || A.cols !== B.rows) throw new Error(`@: ${A.shape} and ${B.shape} do not fit`);
  const {rows, cols: inner, values: a} = A.plain(), {cols, values: b} = B.plain();
  const out = new Matrix(rows, cols), o = out.values;
  const whole = inner - inner % 4;              // four at a time: twice as fast
  for (let i = 0; i < rows; i++) {
    const from = i * inner, place = i * cols;
    for (let k = 0; k < whole; k += 4) {
      const p = a[from + k], q = a[from + k + 1], r = a[from + k + 2], s = a[from + k + 3], at = k * cols;
      for (let j = at; j < at + cols; j++) {
        o[place + j - at] += p * b[j] + q * b[j + cols] + (r * b[j + 2 * cols] + s * b[j + 3 * cols]);
      }
    }
    for (let k = whole; k < inner; k++) {
      for (let j = 0; j < cols; j++) o[place + j] += a[from + k] * b[k * cols + j];
    }
  }
  return out;
}

function elementwise(f, name, a, b) {
  if (typeof a === 'number') return typeof b === 'number' ? f(a, b) : b.map(y => f(a, y));
  if (typeof b === 'number') return a.map(x => f(x, b));
  if (a.rows !== b.rows ||
    a.cols !== b.cols) throw new Error(`${name}: ${a.shape} and ${b.shape} do not fit`);
  const [x, y] = [a.plain().values, b.plain().values], out = new Matrix(a.rows, a.cols);
  for (let k = 0; k < x.length; k++) out.values[k] = f(x[k], y[k]);
  return out;
}

const add = (a, b) => elementwise((x, y) => x + y, '+', a, b);
const sigmoid = z => z < 0 ? Math.exp(z) / (1 + Math.exp(z)) : 1 / (1 + Math.exp(-z));
const largest = values => values.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
const dot = (a, b) => a.reduce((sum, x, k) => sum + x * b[k], 0);

// The norm of a vector, even where squares would underflow.
function norm(values) {
  const scale = largest(values) || 1;
  return scale * Math.sqrt(values.reduce((sum, x) => sum + (x / scale) ** 2, 0));
}

// Rows side by side.
function beside(...rows) {
  const out = new Matrix(1, rows.reduce((sum, row) => sum + row.cols, 0));
  rows.reduce((place, row) => (out.values.set(row.values, place), place + row.cols), 0);
  return out;
}
