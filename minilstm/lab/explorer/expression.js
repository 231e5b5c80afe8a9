// Lines of the derivation as a student writes them: names, numbers, + - * / @ ** > ( ), .T and a few functions.
// Read by the small parser below and computed on matrices; nothing is ever handed to the browser's eval.

const FUNCTIONS = {
  tanh: a => each(Math.tanh, a), sigma: a => each(sigmoid, a), relu: a => each(x => x > 0 ? x : 0, a),
  exp: a => each(Math.exp, a), sum: a => overSteps(a),
};
const OPERATORS = {
  '+': (x, y) => x + y, '-': (x, y) => x - y, '*': (x, y) => x * y, '/': (x, y) => x / y,
  '**': (x, y) => x ** y, '>': (x, y) => Number(x > y),
};
const SPELLINGS = [[/c̃/g, 'c_tilde'], [/_\{t-1\}/g, '_prev'], [/_t\b/g, ''], [/σ/g, 'sigma'], [/²/g, '**2'],
                   [/ᵀ/g, '.T'], [/[−–]/g, '-'], [/[·×]/g, '*'], [/\^/g, '**']];
const TOKEN = /\s*(?:(\d+\.?\d*(?:e[+-]?\d+)?|\.\d+)|([A-Za-z_]\w*)|(\*\*|\.T\b|[-+*\/@>(),]))/y;

const each = (f, a) => typeof a === 'number' ? f(a) : a.map(f);

function overSteps(a) {
  if (typeof a === 'number') return a;
  const out = new Matrix(1, a.cols);
  for (let i = 0; i < a.rows; i++) for (let k = 0; k < a.cols; k++) out.values[k] += a.at(i, k);
  return out;
}

function tokens(text) {
  const source = SPELLINGS.reduce((s, [from, to]) => s.replace(from, to), text.normalize('NFC').trim());
  const found = [];
  for (TOKEN.lastIndex = 0; TOKEN.lastIndex < source.length;) {
    const start = TOKEN.lastIndex, match = TOKEN.exec(source);
    if (!match) throw new Error(`cannot read “${source.slice(start).trim().slice(0, 12)}”`);
    found.push({number: match[1], name: match[2], sign: match[3]});
  }
  return found;
}

// Return {run: names -> value, names: [those it uses]}. Throws an Error in words.
function parse(text) {
  if (text.length > 300) throw new Error('a line has at most 300 characters');
  const list = tokens(text), names = new Set();
  let place = 0, depth = 0;
  const next = sign => list[place]?.sign === sign && ++place > 0;

  function level(signs, below) {
    let left = below();
    for (let sign; (sign = signs.find(next));) {
      const [a, b] = [left, below()];
      left = sign === '@' ? env => product(a(env), b(env)) :
        env => elementwise(OPERATORS[sign], sign, a(env), b(env));
    }
    return left;
  }
  const compare = () => level(['>'], sum);
  const sum = () => level(['+', '-'], term);
  const term = () => level(['*', '/', '@'], unary);
  function unary() {
    if (!next('-')) return power();
    const a = unary();
    return env => elementwise(OPERATORS['*'], '*', -1, a(env));
  }
  function power() {
    const a = atom();
    if (!next('**')) return a;
    const b = unary();
    return env => elementwise(OPERATORS['**'], '**', a(env), b(env));
  }
  function inBrackets() {
    if (++depth > 40) throw new Error('too many brackets');
    const inner = compare();
    if (!next(')')) throw new Error('a bracket ) is missing');
    depth--;
    return inner;
  }
  function atom() {
    const token = list[place++];
    if (!token) throw new Error(list.length ? 'it ends too early' : 'nothing is written here');
    let a;
    if (token.number) {
      const value = Number(token.number);
      a = () => value;
    } else if (token.sign === '(') a = inBrackets();
    else if (token.name && next('(')) {
      const f = Object.hasOwn(FUNCTIONS, token.name) ? FUNCTIONS[token.name] : null, inner = inBrackets();
      if (!f) throw new Error(`“${token.name}” is no function here: use ${Object.keys(FUNCTIONS).join(', ')}`);
      a = env => f(inner(env));
    } else if (token.name) {
      names.add(token.name);
      a = env => env[token.name];
    } else throw new Error(`“${token.sign}” cannot stand here`);
    while (next('.T')) {
      const inner = a;
      a = env => { const value = inner(env); return typeof value === 'number' ? value : value.T; };
    }
    return a;
  }
  const run = compare();
  if (place < list.length) {
    const {number, name, sign} = list[place];
    throw new Error(`“${number || name || sign}” is unexpected: an operator is missing before it, or a bracket`);
  }
  return {run, names: [...names]};
}
