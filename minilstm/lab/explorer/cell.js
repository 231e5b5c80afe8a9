// One recurrent cell over one text, forwards and backwards. Its equations and the numbered lines of its derivation come
// with the page, from the docstrings of minilstm/cells; here they are run.
//
// A cell: {gates, states, forward: [[target, line, text]], backward: [[number, target, line, text]], behind, past}.
// Weights: W (H+D, G·H), rows [h; x], and b, as in minilstm. T steps, no batch.

const parsed = new Map();

function lineOf(text) {
  if (!parsed.has(text)) parsed.set(text, parse(text));
  return parsed.get(text);
}

function compute(text, env) {
  const {run, names} = lineOf(text), unknown = names.find(name => !Object.hasOwn(env, name));
  if (unknown) throw new Error(`“${unknown}” is no name of this line`);
  return run(env);
}

// Return {x, steps, h, c, weights}: the values of each step by name; h and c have T+1 rows, row 0 the initial state.
//   held: gate -> 0 or 1.  nudge: {step, name, by}: added to that value of that step.  start: {h, c}.
function forward(cell, weights, x, {held = {}, nudge = null, start = {}} = {}) {
  const {W, b} = weights, H = W.cols / cell.gates.length, T = x.rows, G = cell.gates.length;
  const [W_h, W_x] = [W.slice(0, H), W.slice(H, W.rows)], present = product(x, W_x), steps = [];
  const states = Object.fromEntries(cell.states.map(name => [name, new Matrix(T + 1, H)]));
  const two = b.cols > G * H;                   // the GRU's candidate has a second bias, for the past's share
  for (const name of cell.states) if (start[name]) states[name].row(0).values.set(start[name].values);
  for (let t = 0; t < T; t++) {
    const env = {x: x.row(t)}, move = (name, value) =>
      nudge && nudge.step === t && nudge.name === name ? add(value, nudge.by) : value;
    for (const name of cell.states) env[name + '_prev'] = move(name + '_prev', states[name].row(t));
    env.x = move('x', env.x);
    const past = product(env.h_prev, W_h), now = nudge && nudge.name === 'x' ? product(env.x, W_x) : present.row(t);
    cell.gates.forEach((gate, k) => {
      const columns = [k * H, (k + 1) * H];
      env['present_' + gate] = add(now.part(...columns), b.part(...columns));
      env['past_' + gate] = two && k === G - 1 ? add(past.part(...columns), b.part(G * H, (G + 1) * H)) :
        past.part(...columns);
      env['a_' + gate] = move('a_' + gate, add(env['present_' + gate], env['past_' + gate]));
      env['present_' + gate] = move('present_' + gate, env['present_' + gate]);
    });
    for (const [target, line] of cell.forward) {
      env[target] = move(target, compute(line, env));
      if (Object.hasOwn(held, target)) env[target] = env[target].map(() => held[target]);
    }
    for (const name of cell.states) states[name].row(t + 1).values.set(env[name].values);
    steps.push(env);
  }
  return {cell, weights, x, steps, held, ...states};
}

// Backpropagate dh_T through time. Return {dx, dh, dc, dW, db, steps}: row t of dh (dc) is the whole gradient of h_t (c_t),
// row 0 that of the initial state; steps: the values of each line.
//   lines: target -> the text that stands there instead.  flow: words for what no line shows (mistakes.py).
function backward(run, dhLast, {lines = {}, flow = ''} = {}) {
  const {cell, weights: {W, b}, x, steps, held} = run, T = steps.length, G = cell.gates.length, H = W.cols / G;
  const D = x.cols, [W_h, W_x] = [W.slice(0, H), W.slice(H, W.rows)], zero = new Matrix(1, H), trace = [];
  const text = Object.fromEntries(cell.backward.map(([, target, line]) => [target, lines[target] ?? line]));
  const inner = cell.backward.filter(([number]) => number > 2).map(([, target]) => target);
  const [dx, dh, dc] = [new Matrix(T, D), new Matrix(T + 1, H), new Matrix(T + 1, H)];
  const all = {x: new Matrix(T, D), h_prev: new Matrix(T, H), hx: new Matrix(T, H + D), dz: new Matrix(T, G * H),
               da_x: new Matrix(T, G * H), da_h: new Matrix(T, G * H), da: new Matrix(T, b.cols)};
  const first = {'skip first': 1, truncated: Math.floor(T / 2)}[flow] ?? 0;
  const keep = (name, t, row) => all[name].row(t).values.set(row.values);
  let [dhNext, dcNext] = [zero, zero];
  for (let t = T - 1; t >= first; t--) {
    const above = t === T - 1 ? dhLast : zero, env = {
      ...steps[t], W, W_h, W_x, dh_above: above, dh_next: dhNext, dc_next: dcNext, dc: dcNext,
      dh: flow === 'no dh' ? above : add(above, dhNext), f_next: steps[t + 1]?.f ?? 1};
    for (const target of inner) {
      env[target] = fitting(target, compute(text[target], env), 1, H);
    }
    const deltas = names => beside(names.map((name, k) => Object.hasOwn(held, cell.gates[k]) ? zero : env[name]));
    env.hx = beside([flow === 'h after' ? env.h : flow === 'h wraps' && t === 0 ? steps[T - 1].h : env.h_prev, env.x]);
    env.da_x = deltas(cell.behind), env.da_h = deltas(cell.past);
    if (text.dhx) {                     // the line numbered 1: one product for h and x, or one for each
      env.dz = env.da_x;
      const dhx = fitting('dhx', compute(text.dhx, env), 1, H + D);
      env.dh_prev = flow === 'other half' ? dhx.part(D, H + D) : dhx.part(0, H);
      env.dx = flow === 'other half' ? dhx.part(0, D) : dhx.part(H, H + D);
    } else {
      env.from_h = fitting('from_h', compute(text.from_h, env), 1, H);
      env.direct = env.dh_prev, env.dh_prev = add(env.dh_prev, env.from_h);
      env.dx = fitting('dx', compute(text.dx, env), 1, D);
    }
    const shares = () => cell.gates.map((_, k) => [env.da_h.part(k * H, (k + 1) * H), columnsOf(W_h, k, H)]);
    if (flow === 'untransposed') {
      env.dh_prev = shares().map(([d, M]) => product(d, M)).reduce(add, env.direct ?? zero);
    } else if (flow === 'gate left out') {
      const [d, M] = shares()[0];
      env.dh_prev = add(env.dh_prev, product(d, M.T).map(v => -v));
    }
    for (const name of ['hx', 'da_x', 'da_h', 'x']) keep(name, t, env[name]);
    keep('h_prev', t, env.hx.part(0, H)), keep('dz', t, env.da_x);
    keep('da', t, b.cols > G * H ? beside([env.da_x, env.da_h.part((G - 1) * H, G * H)]) : env.da_x);
    dh.row(t + 1).values.set(env.dh.values), dc.row(t + 1).values.set(env.dc.values), dx.row(t).values.set(env.dx.values);
    trace[t] = env;
    dhNext = flow === 'dh added' ? add(env.dh_prev, dhNext) : env.dh_prev;
    dcNext = flow === 'no dc' ? zero : env.dc_prev ?? zero;
  }
  dh.row(0).values.set(dhNext.values), dc.row(0).values.set(dcNext.values);
  if (flow === '= for +=') for (const name in all) all[name] = all[name].slice(0, 1);
  const total = (target, ...shape) => fitting(target, compute(text[target], {...all, W, W_h, W_x}), ...shape);
  const dW = text.dW ? total('dW', H + D, G * H) :
    onTop(total('dW_h', H, G * H), total('dW_x', D, G * H));
  return {dx, dh, dc, dW, db: total('db', 1, b.cols), steps: trace};
}

function fitting(target, value, rows, cols) {
  if (!(value instanceof Matrix) || value.rows !== rows || value.cols !== cols) {
    throw new Error(`${target} has shape ${value instanceof Matrix ? value.shape : 'of one number'}, not (${rows}, ${cols})`);
  }
  return value;
}

function columnsOf(M, k, H) {
  const out = new Matrix(M.rows, H);
  for (let i = 0; i < M.rows; i++) out.row(i).values.set(M.row(i).part(k * H, (k + 1) * H).values);
  return out;
}

function onTop(A, B) {
  const out = new Matrix(A.rows + B.rows, A.cols);
  out.values.set(A.plain().values), out.values.set(B.plain().values, A.rows * A.cols);
  return out;
}

// The part of the last state's gradient that has stayed on the cell (an LSTM's c, a GRU's h) at every step: (T+1, H).
function alone(run, back) {
  const T = run.steps.length, keep = {LSTM: 'f', GRU: 'z'}[run.cell.name];
  if (!keep) return null;
  const out = new Matrix(T + 1, run.h.cols);
  out.row(T).values.set((run.cell.name === 'LSTM' ? back.dc : back.dh).row(T).values);
  for (let t = T - 1; t >= 0; t--) out.row(t).values.set(times(out.row(t + 1), run.steps[t][keep]).values);
  return out;
}
