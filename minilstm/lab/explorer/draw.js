// Elements, numbers in words, charts. Text only ever enters the page as text.

const [h, s] = ['1999/xhtml', '2000/svg'].map(space => (tag, attributes, ...children) => {
  const made = document.createElementNS('http://www.w3.org/' + space, tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith('on') || name === 'value') made[name] = value;
    else if (value ?? false) made.setAttribute(name, value === true ? '' : value);
  }
  made.append(...children.flat(9).filter(child => child || child === 0));
  return made;
});
const at = id => document.getElementById(id);

const minus = text => text.replace(/-/g, '−').replace('e+', 'e');
function fmt(value, digits = 3) {
  if (!Number.isFinite(value)) return '–';
  const size = Math.abs(value);
  return minus(size && (size < 1e-3 || size >= 1e4) ? value.toExponential(digits - 1) :
    String(+value.toPrecision(digits)));
}
const prob = value => value.toFixed(3);
const signed = value => (value < 0 ? '−' : '+') + Math.abs(value).toFixed(3);
// A line of the derivation in running text.
const plain = text => text.replace(/_\{t-1\}/g, 'ₜ₋₁').replace(/_t\b/g, 'ₜ').replace(/ \* /g,
  ' · ').replace(/ - /g, ' − ');

// The same as a formula.
const formula = text => h('i', {class: 'math'}, text.split(/_(\{[^}]*\}|\w+)/).map(
  (part, k) => k % 2 ? h('sub', {}, minus(part.replace(/[{}]/g, ''))) : plain(part)));

// A cell of a table is text or a node; numbers stand on the right.
const table = (caption, head, rows, attributes = {}) => h('table', attributes, caption &&
  h('caption', {class: 'soft'}, caption),
  h('thead', {}, h('tr', {}, head.map(name => h('th', {scope: 'col'}, name)))),
  h('tbody', {}, rows.map(row => h('tr', {'data-sym': row.sym}, row.map(cell =>
    cell.tagName === 'TD' ? cell : h('td', {class: /^[−+\d.]/.test(cell) && 'number'}, cell))))));

// A table behind a picture; its rows are made when it is opened.
const tableOf = (title, head, rows) => h('details', {ontoggle() {
  if (!this.children[1]) this.append(h('div', {class: 'scroll', tabindex: '0', role: 'region',
    'aria-label': title},
    table('', head, rows())));
}}, h('summary', {}, title));

const figure = (picture, sentence) => h('figure', {}, picture, h('figcaption', {}, sentence));

// Curves (and bars) over the words. Each curve: {name, values, kind}. log: powers of ten, with a floor.
function chart({label, words, curves, bars = [], log = false, t, pick, width}) {
  const height = 200 + 18 * curves.length, [left, top, bottom] = [60, 18 * curves.length + 10, height - 34],
    n = words.length;
  const gap = (width - left - 12) / n, x = k => left + gap * (k + .5);
  let [low, high, step] = [0, 1, .5];
  if (log) {
    const all = curves.flatMap(curve => curve.values).filter(value => value > 0).map(Math.log10);
    high = Math.ceil(Math.max(...all, -300)), low = Math.max(Math.floor(Math.min(...all, high - 1)),
      high - 16);
    step = Math.ceil((high - low) / 5), low = high - step * Math.ceil((high - low) / step);
  }
  const y = value => bottom - Math.min(1, Math.max(0, (value - low) / (high - low))) * (bottom - top);
  const level = value => y(log ? Math.log10(value) : value), line = (kind, x1, y1, x2, y2) => s('line',
    {class: kind, x1, y1, x2, y2});
  const made = s('svg', {width, height, role: 'img', 'aria-label': label, onclick(event) {
    const k = Math.floor((event.clientX - made.getBoundingClientRect().left - left) / gap);
    if (k >= 0 && k < n) pick(k);
  }});
  for (let value = low; value <= high; value += step) {
    const name = log ? `${value === low ? '≤ ' : ''}1e${value}` : String(value);
    made.append(line('axis', left, y(value), width, y(value)),
      s('text', {x: left - 6, y: y(value) + 4, 'text-anchor': 'end'}, minus(name)));
  }
  bars.forEach((value, k) => made.append(s('rect', {class: value < 0 ? 'minus' : 'plus', opacity: .55,
    x: x(k) - gap * .35,
    width: gap * .7, y: y(Math.max(.5, .5 + value)), height: Math.abs(value) * (bottom - top)})));
  curves.forEach(({name, values, kind = ''}, row) => {
    const points = values.map((value, k) => Number.isNaN(value) ? '' :
      `${x(k).toFixed(1)},${level(value).toFixed(1)}`);
    made.append(s('g', {}, s('polyline', {class: 'curve ' + kind, points: points.join(' ')}),
      values[t] >= 0 && s('circle', {cx: x(t), cy: level(values[t]), r: 3}),
      line('curve ' + kind, left, 12 + 18 * row, left + 26, 12 + 18 * row),
        s('text', {x: left + 32, y: 16 + 18 * row}, name)));
  });
  made.append(line('now', x(t), top, x(t), bottom), s('text', {x: x(t), y: height - 12, 'font-weight': 700,
    'text-anchor':
    x(t) < width * .2 ? 'start' : x(t) > width * .8 ? 'end' : 'middle'},
      `${t + 1}: ${words[t].slice(0, 24)}`));
  return made;
}

// Signed numbers of units (rows) and words (columns) as colours, with + and − where they fit.
function strip({label, values, from, to, chosen, width}) {
  const n = values.length, H = values[0].length, high = Math.max(4, Math.min(16, Math.floor(420 / H))),
    wide = (width - 44) / n;
  const made = h('canvas', {role: 'img', 'aria-label': label}), ratio = devicePixelRatio,
    pen = made.getContext('2d');
  const [plus, less, ink, accent] = ['plus', 'minus', 'ink', 'accent'].map(
    name => getComputedStyle(document.documentElement).getPropertyValue('--' + name));
  const scale = largest(values.map(largest)) || 1, letters = size => { pen.font = `${size}px sans-serif`; };
  made.width = width * ratio, made.height = (high * H + 4) * ratio, made.style.height = `${high * H + 4}px`;
  pen.scale(ratio, ratio), pen.textBaseline = 'middle', letters(Math.min(12, high));
  values.forEach((row, k) => row.forEach((value, unit) => {
    pen.globalAlpha = Math.sqrt(Math.abs(value) / scale), pen.fillStyle = value < 0 ? less : plus;
    pen.fillRect(k * wide, unit * high, wide + .5, high);
    pen.globalAlpha = 1, pen.fillStyle = ink;
    if (high > 8 && wide > 8 && Math.abs(value) > scale / 10) pen.fillText(value < 0 ? '−' : '+',
      (k + .35) * wide, (unit + .5) * high);
  }));
  const frame = (unit, tall) => pen.strokeRect(from * wide + 1, unit * high + 1, (to - from + 1) * wide - 2,
    tall - 1);
  pen.strokeStyle = ink, letters(11);
  chosen.reduce((free, unit) => {
    frame(unit, high);
    if (unit * high < free) return free;
    pen.fillText(`${values[from][unit] < 0 ? '−' : '+'} ${unit}`, width - 38,
      Math.max(6, (unit + .5) * high));
    return unit * high + 12;
  }, 0);
  pen.strokeStyle = accent, pen.lineWidth = 3, frame(0, high * H);
  return made;
}
