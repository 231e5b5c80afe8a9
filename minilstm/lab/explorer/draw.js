// Elements, numbers in words, charts. Text only ever enters the page as text.

const SPACES = {svg: 'http://www.w3.org/2000/svg', math: 'http://www.w3.org/1998/Math/MathML', html: 'http://www.w3.org/1999/xhtml'};

function element(space, tag, attributes, children) {
  const made = document.createElementNS(SPACES[space], tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (name.startsWith('on')) made.addEventListener(name.slice(2), value);
    else if (name === 'value') made.value = value;
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value === true ? '' : value);
  }
  made.append(...children.flat(9).filter(child => child !== null && child !== undefined && child !== ''));
  return made;
}
const h = (tag, attributes, ...children) => element('html', tag, attributes, children);
const s = (tag, attributes, ...children) => element('svg', tag, attributes, children);
const m = (tag, ...children) => element('math', tag, {}, children);
const at = id => document.getElementById(id);

const minus = text => text.replace('-', '−').replace('e-', 'e−').replace('e+', 'e');
function fmt(value, digits = 3) {
  if (!Number.isFinite(value)) return 'not a number';
  const size = Math.abs(value);
  return minus(size === 0 ? '0' : size < 1e-3 || size >= 1e4 ? value.toExponential(digits - 1) : String(+value.toPrecision(digits)));
}
const prob = value => value.toFixed(3);
const signed = value => (value < 0 ? '−' : '+') + Math.abs(value).toFixed(3);
const percent = share => `${Math.round(100 * share)} %`;

// A formula in the notation of the derivations as MathML, which browsers read aloud.
function formula(text) {
  const row = [];
  for (const [token] of text.matchAll(/(?:c̃|[A-Za-zσ]+)'?(?:_(?:\{[^}]*\}|\w+))?|[\d.]+|\S/gu)) {
    const [, base, sub] = /^(.+?)_\{?([^}]*)\}?$/u.exec(token) ?? [];
    if (token === '²' || token === 'ᵀ') row.push(m('msup', row.pop(), m('mi', token === '²' ? '2' : 'T')));
    else if (base) row.push(m('msub', m('mi', base), m('mrow', m('mi', sub.replace('-', '−')))));
    else row.push(m(/^[\d.]+$/.test(token) ? 'mn' : /^[\p{L}'̃]+$/u.test(token) ? 'mi' : 'mo', token === '*' ? '·' : token));
  }
  return m('math', m('mrow', ...row));
}

// A table behind a picture; its rows are made when it is opened.
function tableOf(title, columns, rows) {
  const made = h('details', {ontoggle() {
    if (made.children.length > 1 || !made.open) return;
    made.append(h('div', {class: 'scroll', tabindex: 0, role: 'region', 'aria-label': title}, h('table', {},
      h('thead', {}, h('tr', {}, columns.map(name => h('th', {scope: 'col'}, name)))),
      h('tbody', {}, rows().map(row => h('tr', {}, row.map(cell => h('td', {}, String(cell)))))))));
  }}, h('summary', {}, title));
  return made;
}

const figure = (picture, sentence, ...more) => h('figure', {}, picture, h('figcaption', {}, sentence), ...more);

// Curves (and bars) over the words. Each curve: {name, values, kind}; values may hold NaN. log: a floor is drawn.
function chart({label, words, curves, bars = null, log = false, low = 0, high = 1, t, pick, width}) {
  const height = 230, [left, top, bottom] = [52, 22 * Math.ceil(curves.length / (width < 500 ? 1 : 3)) + 8, 34];
  const n = words.length, gap = (width - left - 12) / Math.max(n, 1), x = k => left + gap * (k + 0.5);
  if (log) {
    const all = curves.flatMap(curve => [...curve.values]).filter(value => value > 0 && value < Infinity);
    high = Math.ceil(Math.log10(Math.max(...all, 1e-300)) + 1e-9);
    low = Math.max(Math.floor(Math.log10(Math.min(...all, 10 ** high))), high - 16);
    if (low === high) low--;
  }
  const place = value => Math.min(1, Math.max(0, ((log ? Math.log10(value) : value) - low) / (high - low)));
  const y = value => height - bottom - place(value) * (height - top - bottom);
  const made = s('svg', {width, height, viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': label, onclick(event) {
    const k = Math.floor((event.clientX - made.getBoundingClientRect().left - left) / gap);
    if (pick && k >= 0 && k < n) pick(k);
  }});
  const ticks = log ? 4 : 2;
  for (let k = 0; k <= ticks; k++) {
    const value = low + (high - low) * k / ticks, level = log ? 10 ** Math.round(value) : value;
    made.append(s('line', {class: 'axis', x1: left, x2: width, y1: y(level), y2: y(level)}),
      s('text', {x: left - 6, y: y(level) + 4, 'text-anchor': 'end'}, log ? minus(`1e${Math.round(value)}`) : fmt(level, 2)));
  }
  if (bars) {
    const zero = y((low + high) / 2), scale = (height - top - bottom) / (high - low);
    bars.forEach((value, k) => made.append(s('rect', {class: value < 0 ? 'minus' : 'plus', opacity: .55,
      x: x(k) - gap * .35, width: gap * .7, y: value < 0 ? zero : zero - value * scale, height: Math.abs(value) * scale})));
  }
  curves.forEach(({name, values, kind}, index) => {
    let path = '', pen = false;
    values.forEach((value, k) => {
      if (Number.isNaN(value)) { pen = false; return; }
      path += `${pen ? 'L' : 'M'}${x(k).toFixed(1)} ${y(value).toFixed(1)}`;
      pen = true;
    });
    const across = width < 500 ? 1 : 3, where = [left + index % across * ((width - left) / across), 14 + 22 * Math.floor(index / across)];
    made.append(s('path', {class: 'curve ' + kind, d: path + (n === 1 ? 'h.1' : '')}),
      s('line', {class: 'curve ' + kind, x1: where[0], x2: where[0] + 26, y1: where[1] - 4, y2: where[1] - 4}),
      s('text', {x: where[0] + 32, y: where[1]}, name));
  });
  if (t >= 0 && t < n) {
    const anchor = x(t) < width * .2 ? 'start' : x(t) > width * .8 ? 'end' : 'middle';
    made.append(s('line', {class: 'now', x1: x(t), x2: x(t), y1: top, y2: height - bottom}),
      s('text', {x: x(t), y: height - 8, 'text-anchor': anchor, 'font-weight': 700}, `${t + 1}: ${words[t].slice(0, 24)}`));
  }
  return made;
}

const colour = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// Signed numbers of the units (rows) after each word (columns), as colours and, where they fit, + and −.
function strip({label, values, from, to, chosen, width, brush}) {
  const n = values.length, H = values[0].length, high = Math.max(4, Math.min(16, Math.floor(420 / H))), wide = width / n;
  const made = h('canvas', {role: 'img', 'aria-label': label}), ratio = window.devicePixelRatio || 1, pen = made.getContext('2d');
  made.width = width * ratio, made.height = (high * H + 2) * ratio;
  made.style.height = `${high * H + 2}px`;
  pen.scale(ratio, ratio);
  const [plus, less, ink, accent] = ['--plus', '--minus', '--ink', '--accent'].map(colour);
  const scale = Math.max(...values.map(row => largest(row))) || 1;
  pen.textAlign = 'center', pen.textBaseline = 'middle', pen.font = `${high - 2}px sans-serif`;
  values.forEach((row, k) => row.forEach((value, unit) => {
    pen.globalAlpha = Math.min(1, Math.abs(value) / scale);
    pen.fillStyle = value < 0 ? less : plus;
    pen.fillRect(k * wide, unit * high, Math.ceil(wide), high);
    if (high > 8 && wide > 8 && Math.abs(value) > scale / 10) {
      pen.globalAlpha = 1, pen.fillStyle = ink;
      pen.fillText(value < 0 ? '−' : '+', (k + .5) * wide, (unit + .5) * high);
    }
  }));
  pen.globalAlpha = 1, pen.strokeStyle = ink, pen.lineWidth = 2;
  for (const unit of chosen) pen.strokeRect(from * wide + 1, unit * high, (to - from + 1) * wide - 2, high);
  pen.strokeStyle = accent, pen.lineWidth = 3;
  pen.strokeRect(from * wide + 1.5, 1.5, (to - from + 1) * wide - 3, high * H - 1);
  let start = null;
  const word = event => Math.max(0, Math.min(n - 1, Math.floor((event.clientX - made.getBoundingClientRect().left) / wide)));
  made.addEventListener('pointerdown', event => { start = word(event); });
  made.addEventListener('pointerup', event => {
    if (start !== null) brush(Math.min(start, word(event)), Math.max(start, word(event)));
    start = null;
  });
  return made;
}
