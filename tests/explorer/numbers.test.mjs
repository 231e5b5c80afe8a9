// The page's arithmetic against minilstm: run by tests/explorer/test_numbers.py, which writes CASES (a JSON file).

import assert from 'node:assert/strict';
import {readFileSync} from 'node:fs';
import {test} from 'node:test';
import {dataOf, scripts} from './scripts.mjs';

const js = scripts(), {cells, cases, pages, learned} = JSON.parse(readFileSync(process.env.CASES, 'utf8'));
const LIMIT = 1e-9;

function close(name, got, expected) {
  assert.equal(got.length, expected.length, name);
  const scale = js.largest(expected);
  const share = js.largest(expected.map((value, k) => value - got[k])) / (scale || 1);
  assert.ok(share <= LIMIT, `${name}: differs by ${share} of its largest entry`);
  return share;
}

let worst = 0;
for (const one of cases) {
  test(`${one.cell}, T = ${one.x.rows}`, () => {
    const [x, W, b, dh] = ['x', 'W', 'b', 'dh_last'].map(name => js.unpack(one[name]));
    const run = js.forward(cells[one.cell], {W, b}, x), back = js.backward(run, dh);
    const got = {h: run.h, c: run.c, dx: back.dx, dh: back.dh, dc: back.dc, dW: back.dW, db: back.db,
                 alone: js.alone({...run, cell: cells[one.cell]}, back)};
    for (const [name, expected] of Object.entries(one.expected)) {
      worst = Math.max(worst, close(name, [...got[name].values], [...js.unpack(expected).values]));
    }
  });
}

for (const path of pages) {
  const data = dataOf(path);
  for (const raw of data.models) {
    const model = js.openModel(raw, data.cells), reviews = data.reviews;
    const reading = js.read(model, js.wordsOf(model, reviews[0].text).map(word => js.lookUp(model, word)));
    test(`${path}, ${raw.name}: agrees with minilstm`, () => {
      const share = js.agreement(model, reviews);
      assert.ok(share <= LIMIT, `differs by ${share}`);
      worst = Math.max(worst, share);
    });
    test(`${path}, ${raw.name}: finite differences`, () => {
      const error = js.checkWeights(reading, reviews[0].label, 1, 5);
      assert.ok(error < 1e-6, `differs by ${error}`);
    });
    test(`${path}, ${raw.name}: every line is right, every mistake is seen`, () => {
      for (const T of [1, 2, 3, 8]) {
        const right = js.checkRule(reading, T, reviews[0].label, {}, {});
        assert.deepEqual([right.error, right.blocks.filter(one => !one.ok)], ['', []], `T = ${T}`);
        for (const [target, verdict] of Object.entries(right.lines)) assert.ok(verdict.ok, `${target}: ${verdict.words}`);
      }
      for (const mistake of data.mistakes[raw.cell]) {
        const wrong = js.checkRule(reading, 8, reviews[0].label, {flow: mistake.flow}, mistake.lines);
        assert.ok(wrong.blocks.some(one => !one.ok), mistake.name);
        for (const target of Object.keys(mistake.lines)) assert.ok(!wrong.lines[target].ok, `${mistake.name}: ${target}`);
        const rest = Object.entries(wrong.lines).filter(([target]) => !(target in mistake.lines));
        for (const [target, verdict] of rest) assert.ok(verdict.ok, `${mistake.name}: ${target} is right`);
      }
    });
  }
}

test('one step of SGD, another forget bias, a held gate', () => {
  const path = pages.find(name => name.endsWith('mask.html')), data = dataOf(path), model = js.openModel(data.models[0], data.cells);
  const items = js.wordsOf(model, data.reviews[0].text).map(word => js.lookUp(model, word)), reading = js.read(model, items);
  const {norm, model: after} = js.learn(reading, data.reviews[0].label, learned.rate, learned.clip);
  const forgetting = js.read(js.changedModel(after, {bias: -2}), items).p;
  close('learned', [reading.p, norm, js.read(after, items).p, forgetting],
        [learned.before, learned.norm, learned.after, learned.forgetting]);
  for (const held of [{f: 1}, {i: '0'}, {c_tilde: 0}]) {
    const changed = js.read(js.changedModel(model, {held}), items), [name] = Object.keys(held);
    assert.ok(changed.run.steps.every(step => step[name].values.every(value => value === Number(held[name]))));
    assert.ok(js.checkWeights(changed, 1, 1, 200) < 1e-6, name);
  }
});

test('the parser', () => {
  const env = {a: 2, b: 3, v: new js.Matrix(1, 3, Float64Array.of(1, 2, 3)), c_tilde: 5};
  const cases = {'1 + a * b ** 2': 19, '-a ** 2': -4, '(a - b) * -b': 3, '2 ** -1': 0.5, 'c̃ − a·b': -1, 'a² / 4': 1,
                 'tanh(0) + sigma(0)': 0.5};
  for (const [text, value] of Object.entries(cases)) assert.equal(js.compute(text, env), value, text);
  assert.deepEqual([...js.compute('v * 2 - v', env).values], [1, 2, 3]);
  assert.equal(js.compute('v @ v.T', env).values[0], 14);
  assert.deepEqual([...js.compute('sum(v.T)', env).values], [6]);
  const wrong = ['', 'a +', 'a b', '(a', 'a)', 'x', 'f(a)', 'alert(1)', 'a.constructor', 'constructor', '__proto__', 'a = 1',
                 'v + v.T', 'v @ v', 'a; b', '`a`', 'toString(a)', 'a > 1', '('.repeat(99), 'a'.repeat(999)];
  for (const text of wrong) assert.throws(() => js.compute(text, env), Error, text);
});

test('words as the Tokenizer splits them', () => {
  const tokenizer = {lower: true, filters: '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n', split: ' ', char_level: false};
  assert.deepEqual(js.wordsOf({tokenizer}, 'A good, <b>STRANGE</b> film! 🎬 é'), ['a', 'good', 'b', 'strange', 'b', 'film', '🎬', 'é']);
  assert.deepEqual(js.wordsOf({tokenizer}, ' !? '), []);
  assert.deepEqual(js.wordsOf({tokenizer: {...tokenizer, char_level: true}}, 'A🎬'), ['a', '🎬']);
});

test('how far apart', t => t.diagnostic(`largest difference: ${worst.toExponential(1)} of a tensor's largest entry`));
