// Lines of the derivation as a student writes them: names, numbers, + - * / @ ** ( ), .T and a few functions.
// Read by the small parser below; nothing is ever handed to the browser's eval.

const each = f => a => typeof a === 'number' ? f(a) : a.map(f);
const FUNCTIONS = {
  tanh: each(Math.tanh), sigma: each(sigmoid),
  sum: a => typeof a === 'number' ? a : product(new Matrix(1, a.rows).map(() => 1), a),
         // over the rows, the steps
};
const OPERATORS = {
  '+': (x, y) => x + y, '-': (x, y) => x - y, '*': (x, y) => x * y, '/': (x, y) => x / y,
  '**': (x, y) => x ** y,
};
const SPELLINGS = [[/c̃/g, 'c_tilde'], [/σ/g, 'sigma'], [/²/g, '**2'], [/[−–]/g, '-'], [/[·×]/g, '*'],
  [/\^/g, '**']];
const TOKEN = /\s*(?:(\d+\.?\d*(?:e[+-]?\d+)?|\.\d+)|([A-Za-z_]\w*)|(\*\*|\.T\b|[-+*\/@()]))/y;

function tokens(text) {
  const source = SPELLINGS.reduce((all, [from, to]) => all.replace(from, to), text.trim()), found = [];
  for (TOKEN.lastIndex = 0; TOKEN.lastIndex < source.length;) {
    const start = TOKEN.lastIndex, match = TOKEN.exec(source);
    if (!match) throw new Error(`cannot read “${source.slice(start, start + 12)}”`);
    found.push({number: match[1], name: match[2], sign: match[3]});
  }
  return found;
}

// Return {run: names -> value, names: [those it uses]}. Throws an Error in words.
function parse(text) {
  const list = tokens(text), names = new Set();
  let place = 0;
  const next = sign => list[place]?.sign === sign && ++place > 0;

  const both = (sign, a, b) => env => sign === '@' ? product(a(env), b(env)) :
    elementwise(OPERATORS[sign], sign, a(env), b(env));
  function level(signs, below) {
    let left = below();
    for (let sign; (sign = signs.find(next));) left = both(sign, left, below());
    return left;
  }
  const sum = () => level(['+', '-'], term);
  const term = () => level(['*', '/', '@'], unary);
  const unary = () => next('-') ? both('*', () => -1, unary()) : power();
  function power() {
    const a = atom();
    return next('**') ? both('**', a, unary()) : a;
  }
  function inBrackets() {
    const inner = sum();
    if (!next(')')) throw new Error('a bracket ) is missing');
    return inner;
  }
  function atom() {
    const {number, name, sign} = list[place++] ?? {};
    let a;
    if (number) a = () => Number(number);
    else if (sign === '(') a = inBrackets();
    else if (name && next('(')) {
      const f = Object.hasOwn(FUNCTIONS, name) && FUNCTIONS[name], inner = inBrackets();
      if (!f) throw new Error(`“${name}” is no function here`);
      a = env => f(inner(env));
    } else if (name) {
      names.add(name);
      a = env => env[name];
    } else throw new Error(sign ? `“${sign}” cannot stand here` : 'the end is missing');
    for (let inner = a; next('.T'); inner = a) a = env => inner(env).T ?? inner(env);
    return a;
  }
  const run = sum(), {number, name, sign} = list[place] ?? {};
  if (place < list.length) throw new Error(`before “${number ?? name ?? sign}” an operator is missing`);
  return {run, names: [...names]};
}

const parsed = new Map();

function compute(text, env) {
  if (!parsed.has(text)) parsed.set(text, parse(text));
  const {run, names} = parsed.get(text), unknown = names.find(name => !Object.hasOwn(env, name));
  if (unknown) throw new Error(`“${unknown}” is no name of this line`);
  return run(env);
}
