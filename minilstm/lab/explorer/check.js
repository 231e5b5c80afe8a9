// Checks: numbers that minilstm computed against those of this page; gradients against finite differences.

const LIMIT = 1e-9;             // of a tensor's largest entry: the page agrees with minilstm

// Return the largest difference, as a share of the largest entry of its tensor.
function agreement(model, reviews) {
  let worst = 0;
  const compare = (got, expected) => {
    const scale = largest(expected);
    const apart = got.length === expected.length ? largest(expected.map((value, k) => value - got[k])) : NaN;
    const share = scale ? apart / scale : apart;
    worst = share <= worst ? worst : share;         // NaN stays
  };
  for (const fixture of model.fixtures) {
    const {text, label} = reviews[fixture.review];
    const reading = read(model, wordsOf(model, text).map(word => lookUp(model, word)));
    const back = backFrom(reading, label);
    compare([reading.p], [fixture.p]);
    compare(reading.ps, fixture.ps);
    for (const [k, values] of Object.entries(fixture.gates)) {
      const step = reading.run.steps[reading.first + Number(k)];
      for (const [name, expected] of Object.entries(values)) compare([...step[name].values], expected);
    }
    compare(fixture.dh.map((_, t) => norm(back.dh.row(t).values)), fixture.dh);
    compare([norm(back.dW.values), norm(back.db.values)], [fixture.dW, fixture.db]);
  }
  return worst;
}

// Numbers that are random enough, the same on every machine.
function randomNumbers(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6D2B79F5) >>> 0;
    let z = Math.imul(state ^ state >>> 15, 1 | state);
    z = z + Math.imul(z ^ z >>> 7, 61 | z) ^ z;
    return ((z ^ z >>> 14) >>> 0) / 2 ** 32 - 0.5;
  };
}

// Move values[k] a little up and down: the slope of f.
function slope(f, values, k, step = 1e-5) {
  const before = values[k];
  values[k] = before + step;
  const up = f();
  values[k] = before - step;
  const down = f();
  values[k] = before;
  return (up - down) / (2 * step);
}

// `count` random weights of W against finite differences, on the whole text. Return [{row, column, analytic, numeric}]
// and the largest error as a share of dW's largest entry.
function checkWeights(reading, label, seed, count = 20) {
  const {model, items} = reading, W = model.weights.W, random = randomNumbers(seed), dW = backFrom(reading, label).dW;
  const found = Array.from({length: count}, () => {
    const k = Math.floor((random() + 0.5) * W.values.length);
    const numeric = slope(() => lossOf(read(model, items).logit, label), W.values, k);
    return {row: Math.floor(k / W.cols), column: k % W.cols, analytic: dW.values[k], numeric};
  });
  return {found, error: largest(found.map(one => one.analytic - one.numeric)) / (largest(dW.values) || 1)};
}

// The check of station 6: a short text, from a state that is not zero, so that no mistake can hide.
function shortRun(reading, T) {
  const {model, items} = reading, H = model.H, random = randomNumbers(1), x = new Matrix(T, model.D);
  for (let t = 0; t < T; t++) x.row(t).values.set(model.E.row(items[t % items.length].row).values);
  const start = Object.fromEntries(model.cell.states.map(name => [name, new Matrix(1, H).map(() => random())]));
  return {model, x, start, weights: model.weights, loss(label, nudge) {
    const run = forward(model.cell, this.weights, this.x, {start: this.start, nudge});
    return lossOf(dot(run.h.row(T).values, model.w.values) + model.b_out, label);
  }};
}

const close = (a, b) => Math.abs(a - b) <= 1e-5 * Math.max(Math.abs(a), Math.abs(b)) + 1e-13;

// All blocks, each by moving all its numbers at once in a random direction; and each line. The last three blocks are the
// initial state and the words. Return {blocks: [{name, part, ok, analytic, numeric}], lines: target -> {ok, words}, error}.
function checkRule(short, label, rule, texts) {
  const {model, x, start, weights: {W, b}} = short, {cell, H} = model, T = x.rows, G = cell.gates.length, random = randomNumbers(2);
  const run = forward(cell, short.weights, x, {start}), logit = dot(run.h.row(T).values, model.w.values) + model.b_out;
  const reading = {run, model, T, logit, p: sigmoid(logit)}, out = {blocks: [], lines: {}, error: ''};
  let back;
  try {
    back = backFrom(reading, label, {...rule, lines: texts});
  } catch (error) {
    out.error = error.message;
  }
  const block = (name, part, values, grads, places) => {
    const v = places.map(random), old = places.map(k => values[k]), loss = step => {
      places.forEach((k, j) => { values[k] = old[j] + step * v[j]; });
      return short.loss(label);
    };
    const numeric = (loss(1e-5) - loss(-1e-5)) / 2e-5, analytic = back ? places.reduce((sum, k, j) => sum + grads[k] * v[j], 0) : NaN;
    loss(0);
    out.blocks.push({name, part, analytic, numeric, ok: close(analytic, numeric)});
  };
  const range = (from, to) => Array.from({length: to - from}, (_, k) => from + k);
  cell.gates.forEach((gate, k) => {
    const rows = (from, to) => range(from, to).flatMap(i => range(i * W.cols + k * H, i * W.cols + (k + 1) * H));
    block(gate, 'rows of h', W.values, back?.dW.values, rows(0, H));
    block(gate, 'rows of x', W.values, back?.dW.values, rows(H, W.rows));
    block(gate, 'b', b.values, back?.db.values, range(k * H, k === G - 1 ? b.cols : (k + 1) * H));
  });
  block('', 'h₀', start.h.values, back?.dh.row(0).values, range(0, H));
  block('', 'x', x.values, back?.dx.values, range(0, x.values.length));
  if (start.c) block('', 'c₀', start.c.values, back?.dc.row(0).values, range(0, H));
  checkLines(short, label, texts, backFrom(reading, label), run, out);
  return out;
}

// Each line alone: what it gives where all other lines are right, against moving its variable in the middle step.
function checkLines(short, label, texts, right, run, out) {
  const {cell} = short.model, T = short.x.rows, step = Math.floor((T - 1) / 2), env = right.steps[step];
  const random = randomNumbers(3);
  const variable = target => ({dh_prev: 'h_prev', from_h: 'h_prev', dc_prev: 'c_prev', da_n: 'present_n'})[target] ??
    (cell.behind.includes(target) ? 'a_' + cell.gates[cell.behind.indexOf(target)] : target.slice(1));
  const measured = (name, v) => {
    const at = size => short.loss(label, {step, name, by: v.map(x => x * size)});
    return (at(1e-5) - at(-1e-5)) / 2e-5;
  };
  for (const [number, target, line] of cell.backward) {
    const text = texts[target] ?? line, verdict = out.lines[target] = {ok: false, words: ''};
    try {
      if (number === 2) {                       // a sum over the steps: against that of the right line
        const got = backward(run, right.steps[T - 1].dh_above, {lines: {[target]: text}});
        const [a, b] = target === 'db' ? [got.db, right.db] : [got.dW, right.dW];
        verdict.ok = a.values.every((value, k) => close(value, b.values[k]));
        continue;
      }
      const got = compute(text, target === 'dc' ? {...env, dc: env.dc_next} : env);
      const v = fitting(target, got, 1, (env[target] ?? env.hx).cols).map(() => random());
      let wanted;
      if (target === 'dhx') {
        const H = env.h_prev.cols;
        wanted = measured('h_prev', v.part(0, H)) + measured('x', v.part(H, v.cols));
      } else {
        wanted = measured(variable(target), v);         // a GRU's h_{t-1} has two ways, of which each line is one
        if (target === 'from_h') wanted -= dot(env.direct.values, v.values);
        if (target === 'dh_prev' && env.from_h) wanted -= dot(env.from_h.values, v.values);
      }
      const value = dot(got.plain().values, v.values);
      verdict.ok = close(value, wanted);
      if (!verdict.ok) verdict.words = `gives ${value.toPrecision(3)}, should be ${wanted.toPrecision(3)}`;
    } catch (error) {
      verdict.words = error.message;
    }
  }
}
