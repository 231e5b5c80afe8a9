// Checks: this page against minilstm, gradients against finite differences.

const LIMIT = 1e-9;             // of a tensor's largest entry: the page agrees with minilstm
const STEP = 1e-5;

function agreement(model, reviews) {
  let worst = 0;
  const compare = (got, expected) => {
    const share = largest(expected.map((value, k) => value - got[k])) / (largest(expected) || 1);
    worst = share <= worst ? worst : share;         // NaN stays
  };
  for (const {review, p, ps, gates, dh, dW, db} of model.fixtures) {
    const {text, label} = reviews[review],
      reading = read(model, wordsOf(model, text).map(word => lookUp(model, word)));
    const back = backFrom(reading, label);
    compare([reading.p, ...reading.ps], [p, ...ps]);
    for (const [k, values] of Object.entries(gates)) {
      for (const name in values) compare(reading.run.steps[reading.first + Number(k)][name].values,
        values[name]);
    }
    compare(dh.map((_, t) => norm(back.dh.row(t).values)), dh);
    compare([norm(back.dW.values), norm(back.db.values)], [dW, db]);
  }
  return worst;
}

// Numbers that are random enough, from -1/2 to 1/2.
function randomNumbers(state) {
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32 - .5;
  };
}

const slope = f => (f(STEP) - f(-STEP)) / (2 * STEP);

// Random weights of W against finite differences. Return the largest error as a share of dW's largest entry.
function checkWeights(reading, label, seed, count = 20) {
  const {model, items} = reading, W = model.weights.W.values, random = randomNumbers(seed),
    dW = backFrom(reading, label).dW.values;
  return largest(Array.from({length: count}, () => {
    const k = Math.floor((random() + .5) * W.length), before = W[k], numeric = slope(step => {
      W[k] = before + step;
      return lossOf(read(model, items).logit, label);
    });
    W[k] = before;
    return dW[k] - numeric;
  })) / (largest(dW) || 1);
}

// T words of a text, from a state that is not zero, so that no mistake can hide.
function shortRun({model, items}, T, label) {
  const random = randomNumbers(1), x = new Matrix(T, model.D), state = () => new Matrix(1,
    model.H).map(random);
  for (let t = 0; t < T; t++) x.row(t).values.set(model.E.row(items[t % items.length].row).values);
  const start = Object.fromEntries(model.cell.states.map(name => [name, state()]));
  const run = nudge => forward(model.cell, model.weights, x, {start, nudge});
  return {model, x, start, T, run, loss: nudge => lossOf(logitAt(model, run(nudge), T), label)};
}

const close = (a, b) => Math.abs(a - b) <= 1e-5 * Math.max(Math.abs(a), Math.abs(b)) + 1e-13;

// All blocks, each moved in a random direction, the initial state and the words last; and each line.
// Return {blocks: [{name, part, ok, analytic, numeric}], lines: target -> {ok, words}, error}.
function checkRule(reading, T, label, rule, texts) {
  const short = shortRun(reading, T, label), {model, x, start} = short, {cell, H, weights: {W, b}} = model,
    run = short.run();
  const random = randomNumbers(2), all = {run, model, T, logit: logitAt(model, run, T)},
    out = {blocks: [], error: ''};
  let back;
  try {
    back = backFrom(all, label, {...rule, lines: texts});
  } catch (error) {
    out.error = error.message;
  }
  const block = (name, part, {values}, grads, places = [...values.keys()]) => {
    const v = places.map(random), old = places.map(k => values[k]), loss = step => {
      places.forEach((k, j) => { values[k] = old[j] + step * v[j]; });
      return short.loss();
    };
    const numeric = slope(loss), analytic = back ? places.reduce((sum, k, j) => sum +
      grads(back).values[k] * v[j], 0) : NaN;
    loss(0);
    out.blocks.push({name, part, analytic, numeric, ok: close(analytic, numeric)});
  };
  const range = (from, to) => Array.from({length: to - from}, (_, k) => from + k);
  cell.gates.forEach((gate, k) => {
    const rows = (from, to) => range(from, to).flatMap(i => range(i * W.cols + k * H, i * W.cols +
      (k + 1) * H));
    block(gate, 'rows of h', W, back => back.dW, rows(0, H));
    block(gate, 'rows of x', W, back => back.dW, rows(H, W.rows));
    block(gate, 'b', b, back => back.db, range(k * H, k === cell.gates.length - 1 ? b.cols : (k + 1) * H));
  });
  block('', 'h₀', start.h, back => back.dh.row(0));
  block('', 'x', x, back => back.dx);
  if (start.c) block('', 'c₀', start.c, back => back.dc.row(0));
  return {...out, lines: checkLines(short, texts, backFrom(all, label), run)};
}

// Each line alone, all others right: what it gives, against moving its variable in the middle step.
function checkLines({model: {cell}, T, loss}, texts, right, run) {
  const step = Math.floor((T - 1) / 2), env = right.steps[step], random = randomNumbers(3), out = {};
  const variable = target => ({dh_prev: 'h_prev', from_h: 'h_prev', dc_prev: 'c_prev',
    da_n: 'present_n'})[target] ??
    (cell.behind.includes(target) ? 'a_' + cell.gates[cell.behind.indexOf(target)] : target.slice(1));
  const measured = (name, v) => slope(size => loss({step, name, by: v.map(x => x * size)}));
  for (const [number, target, line] of cell.backward) {
    const text = texts[target] ?? line;
    try {
      let [value, wanted] = [0, 0];
      if (number === 2) {                       // a sum over the steps: against that of the right line
        const got = backward(run, right.steps[T - 1].dh_above, {lines: {[target]: text}});
        const name = target === 'db' ? 'db' : 'dW', v = right[name].map(random).values;
        value = dot(got[name].values, v), wanted = dot(right[name].values, v);
      } else {
        const got = compute(text, target === 'dc' ? {...env, dc: env.dc_next} : env);
        const v = fitting(target, got, 1, env[target].cols).map(random);
        value = dot(got.values, v.values), wanted = measured(variable(target), v);
        const other = env.direct &&
          {from_h: 'direct', dh_prev: 'from_h'}[target];      // a GRU's h has two ways back
        if (other) wanted -= dot(env[other].values, v.values);
      }
      const ok = close(value, wanted);
      out[target] = {ok, words: ok ? '' :
        `gives ${value.toPrecision(3)}, should be ${wanted.toPrecision(3)}`};
    } catch (error) {
      out[target] = {ok: false, words: error.message};
    }
  }
  return out;
}
