// One cell over one text, forwards and backwards, by the lines of its derivation, which come from minilstm/cells:
// {gates, states, forward: [[target, line, text]], backward: [[number, target, line, text]], behind, past}.

const gateSymbol = gate => gate === 'c' ? 'c_tilde' : gate;

// Return {steps, h, c}: the values of each step by name; h and c have T+1 rows, row 0 the initial state.
//   held: gate -> 0 or 1.  nudge: {step, name, by}: added to that value of that step.  start: {h, c}.
function forward(cell, weights, x, {held = {}, nudge = {}, start = {}} = {}) {
  const {W, b} = weights, G = cell.gates.length, H = W.cols / G, T = x.rows, steps = [];
  const [W_h, W_x] = [W.slice(0, H), W.slice(H, W.rows)], present = product(x, W_x);
  const states = Object.fromEntries(cell.states.map(name => [name, new Matrix(T + 1, H)]));
  for (const name in start) states[name].row(0).values.set(start[name].values);
  for (let t = 0; t < T; t++) {
    const move = (name, value) => nudge.step === t && nudge.name === name ? add(value, nudge.by) : value;
    const env = {x: move('x', x.row(t))};
    for (const name of cell.states) env[name + '_prev'] = move(name + '_prev', states[name].row(t));
    const past = product(env.h_prev, W_h), now = nudge.name === 'x' ? product(env.x, W_x) : present.row(t);
    cell.gates.forEach((gate, k) => {
      const block = (row, place = k) => row.part(place * H, (place + 1) * H), second = k === G - 1 &&
        b.cols > G * H;
      const [from_x, from_h] = [add(block(now), block(b)), second ? add(block(past), block(b, G)) :
        block(past)];
      env['present_' + gate] = move('present_' + gate, from_x), env['past_' + gate] = from_h;
      env['a_' + gate] = move('a_' + gate, add(from_x, from_h));
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

// Backpropagate dh_T through time. Return {dx, dh, dc, dW, db, steps}: row t of dh (dc) is the whole gradient of h_t (c_t).
//   lines: target -> what stands there instead.  flow: a word for what no line shows (offered.json).
function backward(run, dhLast, {lines = {}, flow = ''} = {}) {
  const {cell, weights: {W, b}, x, steps, held} = run, T = steps.length, G = cell.gates.length,
    H = W.cols / G;
  const D = x.cols, W_h = W.slice(0, H), names = {W: W.slice(0, W.rows), W_h, W_x: W.slice(H, W.rows)};
  const zero = new Matrix(1, H);
  const text = Object.fromEntries(cell.backward.map(([, target, line]) => [target, lines[target] ?? line]));
  const value = (target, env, cols, rows = 1) => fitting(target, compute(text[target], env), rows, cols);
  const [dx, dh, dc, trace] = [new Matrix(T, D), new Matrix(T + 1, H), new Matrix(T + 1, H), []];
  const one = b.cols === G * H, sizes = {x: D, h_prev: H, da_x: G * H, ...!one && {da_h: G * H, da: b.cols}};
  const sums = Object.fromEntries(Object.entries(sizes).map(([name, cols]) => [name, new Matrix(T, cols)]));
  let [dhNext, dcNext] = [zero, zero];
  for (let t = T - 1; t >= ({'skip first': 1, truncated: Math.floor(T / 2)}[flow] ?? 0); t--) {
    const above = t === T - 1 ? dhLast : zero, env = {
      ...steps[t], ...names, dh_above: above, dh_next: dhNext, dc_next: dcNext, dc: dcNext,
      dh: flow === 'no dh' ? above : add(above, dhNext), f_next: steps[t + 1]?.f ?? 1};
    for (const [number, target] of cell.backward) if (number > 2) env[target] = value(target, env, H);
      const deltas = targets => beside(...targets.map((name, k) => Object.hasOwn(held, gateSymbol(cell.gates[k])) ? zero :
        env[name]));
    const h_prev = flow === 'h after' ? env.h : flow === 'h wraps' && t === 0 ? steps[T - 1].h : env.h_prev;
    const da_x = deltas(cell.behind), da_h = deltas(cell.past);
    Object.assign(env, {da_x, da_h}, one && {dz: da_x});
    env.direct = env.dh_prev, env.from_h = value('from_h', env, H), env.dx = value('dx', env, D);
    env.dh_prev = add(env.direct ?? zero, env.from_h);
    const share = (_, k) => product(da_h.part(k * H, (k + 1) * H), gateRows(W_h, k));
    if (flow === 'untransposed') env.dh_prev = cell.gates.map(share).reduce(add, env.direct ?? zero);
    const rows = {x: env.x, h_prev, da_x, da_h, da: one || beside(da_x, da_h.part(W.cols - H, W.cols))};
    for (const name in sums) sums[name].row(t).values.set(rows[name].values);
    dh.row(t + 1).values.set(env.dh.values), dc.row(t + 1).values.set(env.dc.values),
      dx.row(t).values.set(env.dx.values);
    trace[t] = env;
    dhNext = flow === 'dh added' ? add(env.dh_prev, dhNext) : env.dh_prev;
    dcNext = flow === 'no dc' ? zero : env.dc_prev ?? zero;
  }
  dh.row(0).values.set(dhNext.values), dc.row(0).values.set(dcNext.values);
  if (flow === '= for +=') for (const name in sums) sums[name] = sums[name].slice(0, 1);
  const env = {...sums, ...names, dz: sums.da_x}, dW = new Matrix(H + D, G * H);
  dW.slice(0, H).values.set(value('dW_h', env, G * H, H).plain().values);
  dW.slice(H, H + D).values.set(value('dW_x', env, G * H, D).plain().values);
  return {dx, dh, dc, dW, db: value('db', env, b.cols).plain(), steps: trace};
}

function fitting(target, value, rows, cols) {
  if (value.rows === rows && value.cols === cols) return value;
  throw new Error(`${target} is ${value.shape ?? 'one number'}, not (${rows}, ${cols})`);
}

// A gate's block of W_h, (H, H).
const gateRows = (W_h, k) => W_h.part(k * W_h.rows, (k + 1) * W_h.rows);

// The part of the gradient that has stayed on the cell (an LSTM's c, a GRU's h) at every step: (T+1, H).
function alone(run, back) {
  const T = run.steps.length, {keep, memory} = run.cell, out = new Matrix(T + 1, run.h.cols);
  if (!keep) return null;
  out.row(T).values.set(back['d' + memory].row(T).values);
  for (let t = T; t > 0; t--) out.row(t - 1).values.set(compute('d * k',
    {d: out.row(t), k: run.steps[t - 1][keep]}).values);
  return out;
}
