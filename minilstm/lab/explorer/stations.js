// The seven stations, as data. Each asks its question before it draws:
//   ask(c): {question, options: [[value, words]], right, because}    controls(c), made once, and draw(c): nodes

const quoted = (c, k) => `“${c.words[k]}” (word ${k + 1})`;
const button = (words, onclick) => h('button', {type: 'button', onclick}, words);
const choice = (label, options, chosen, change, id) => h('label', {}, label + ' ',
  h('select', {id, onchange() { change(this.value); }},
    options.map(([value, words]) => h('option', {value, selected: value === chosen}, words))));

function unitControl(c) {
  const max = c.model.H - 1;
  return h('label', {}, 'Unit ', h('input', {type: 'number', min: '0', max, value: c.unit, onchange() {
    c.set({unit: Math.round(this.value)});
    this.value = c.unit;
  }}), `(0 to ${max})`);
}

const moves = (was, now) => Math.abs(now - was) < .0005 ? 'stays where it is' :
  `${now > was ? 'rises' : 'falls'} by ${Math.abs(now - was).toFixed(3)}, from ${prob(was)} to ${prob(now)}`;
const overWords = (c, label, curves, more) => figure(
  chart({label, words: c.words, curves, t: c.t, pick: t => c.set({t}), width: c.width, ...more}), label);
const numbers = (c, head, row) => tableOf('The numbers of this picture', ['word', ...head],
  () => c.words.map((w, k) => [w, ...row(k)]));
const answers = c => [{name: 'p(positive)', values: c.ps}, ...c.old('ps')];
const places = (c, list) => [...new Set(list)].sort((a, b) => a - b).map(k => [k, quoted(c, k)]);
const ranked = (list, size) => [...list.keys()].sort((a, b) => size(list[b]) - size(list[a]));
const gateName = gate => bare(gateSymbol(gate));

const STATIONS = [
  {id: 'read',
   ask(c) {
     const order = ranked(c.changes, Math.abs), [top, second = top] = order;
     return {question: 'Which word moves p(positive) most?', right: top,
             options: places(c, [top, second, order[c.n >> 1], order[c.n - 1], c.n - 1]),
             because: `${quoted(c, top)} moves p by ${signed(c.changes[top])}, to ${prob(c.ps[top])}.`};
   },
   controls: c => [button('Strike out this word', c.strike), button('Undo', c.undo)],
   draw(c) {
     const order = ranked(c.changes, v => v), told = k => `${quoted(c, k)}, ${signed(c.changes[k])}`;
     return [overWords(c, 'The line is p(positive) after each word, a bar the change by that word. The highest bar is ' +
       `${told(order[0])}; the lowest ${told(order[c.n - 1])}.`, answers(c), {bars: c.changes}),
     numbers(c, ['p', 'change'], k => [prob(c.ps[k]), signed(c.changes[k])])];
   }},
  {id: 'remember',
   ask(c) {
     const [first, last] = [0, c.n - 1].map(k => c.state(c.memory, k)), H = c.model.H;
     const share = first.filter((v, u) => v * last[u] > 0).length / H;
     return {question: `The first word gives each unit of ${c.memory} a sign. How many still have it after the last word?`,
             options: ['under 10 %', '10 to 40 %', '40 to 70 %', 'over 70 %'].map((words, k) => [k, words]),
             right: [.1, .4, .7].filter(v => share > v).length,
             because: `${Math.round(100 * share)} % of the ${H} units do. Tossing coins would give about half.`};
   },
   controls(c) {
     const range = (id, label) => h('label', {}, label, h('input', {
       type: 'range', id, min: 1, max: c.n, value: c[id] + 1, oninput() { c.set({[id]: this.value - 1}); }}));
     const names = new Set([c.memory, 'h', ...c.model.cell.forward.map(([name]) => name)]);
     return [choice('Show', [...names].map(name => [name, bare(name)]), c.shown, shown => c.set({shown})),
       range('from', 'from word '), range('to', 'to word ')];
   },
   draw(c) {
     const values = c.words.map((_, k) => c.state(c.shown, k));
     const [from, to] = [Math.min(c.from, c.to), Math.max(c.from, c.to)];
     const range = values.slice(from, to + 1), stays = [...range[0].keys()].filter(u => {
       const most = largest(values.map(row => row[u])), sign = Math.sign(range[0][u]);
       return most > 0 && range.every(row => row[u] * sign >= most / 2);
     });
     const list = stays.slice(0, 12).join(', ') + (stays.length > 12 ? ` and ${stays.length - 12} more` : '');
     const label = `Rows are units, columns words; blue is positive, orange negative. Units that stay on from ` +
       `${quoted(c, from)} to ${quoted(c, to)}: ${list || 'none'}. On means: the same sign, and at least half of ` +
       'that unit’s own largest value.';
     return [figure(strip({label, values, from, to, chosen: stays, width: c.width}), label),
       numbers(c, stays.map(u => 'unit ' + u), k => stays.map(u => fmt(values[k][u])))];
   }},
  {id: 'forward',
   ask(c) {
     const [old, fresh] = c.model.cell.parts.map(line => Math.abs(compute(line, c.env).values[c.unit]));
     return {question: `At ${quoted(c, c.t)}, unit ${c.unit}: which part of the new ${c.memory} is larger in size?`,
             options: [[0, 'what is kept of the past'], [1, 'what this word brings']], right: +(fresh > old),
             because: `The past brings ${fmt(old)}, the word ${fmt(fresh)}, signs left out.`};
   },
   controls: c => [unitControl(c)],
   draw(c) {
     const gate = c.model.cell.keep;
     const sentence = gate ? [`The line on top is the memory ${c.memory}. Of its old value, this step keeps the share `,
       h('span', {'data-sym': gate}, `${gate} = ${fmt(c.env[gate].values[c.unit])}`),
       '. Choose a symbol in the ledger to see where it stands.'] :
       'The past has one way into h: through w and tanh, at every word again.';
     return [h('div', {class: 'side'}, figure(cellPicture(c), sentence),
       h('div', {}, forwardLedger(c), c.model.cell.gates.map(name => sumTerms(c, name))))];
   }},
  {id: 'back',
   ask(c) {
     const [target, ...given] = c.model.cell.sign;
     const value = name => c.back.steps[c.step][name].values[c.unit], [, , , line] = c.model.cell.backward.find(
       row => row[1] === target), facts = given.map(name => `${bare(name)} = ${fmt(value(name))}`).join(', ');
     return {question: `At ${quoted(c, c.t)}, unit ${c.unit}, ${facts}. Which sign has ${target}?`,
             options: [[1, '+'], [-1, '−'], [0, 'none, it is 0']], right: Math.sign(value(target)),
             because: `${plain(line)} = ${fmt(value(target))}.`};
   },
   controls: c => [unitControl(c)],
   draw: c => [backwardLedger(c),
     h('p', {}, 'Two numbers arrive at dh: one from the loss, if this is the last word, and one from ' +
     `the next word. ${c.memory === 'c' ? 'Two arrive at dc: along the cell, and through h. ' : ''}The numbers in ` +
     `front are those of the derivation in cells/${c.model.kind}.py. Its line 2 is a sum over all words, the ` +
     'gradient of W.')]},
  {id: 'time',
   ask(c) {
     const options = places(c, [0, c.n >> 1, c.n - 1]), {dh} = c.norms;
     const [[right]] = [...options].sort((a, b) => dh[b[0]] - dh[a[0]]);
     return {question: 'After which of these words does h get the largest gradient?', options, right,
             because: options.map(([k, words]) => `${words}: ${fmt(dh[k])}`).join('; ') + '.'};
   },
   controls: () => [],
   draw(c) {
     const {dh, dc, kept} = c.norms, {first} = c.reading, rows = [
       {name: 'gradient of h', values: dh}, {name: 'gradient of c', values: dc, kind: 'second'},
       {name: `what came along ${c.memory} alone`, values: kept, kind: 'third'}].filter(row => row.values);
     const label = 'The scale counts powers of ten. At the first word the gradient of h is ' +
       `${fmt(dh[0] / dh[c.n - 1])} times that at the last. ` + (kept ? `Along ${c.memory} alone, one factor ` +
       `${c.model.cell.keep} a word, ${fmt(kept[0])} comes back to the first word; by all ways it is ` +
       `${fmt((dc || dh)[0])}. ` : 'It has one way back, through W and the slope of tanh at every word. ') +
       (first && `Of the ${first} steps of padding before, the very first gets ${fmt(norm(c.back.dh.row(1).values))}.`);
     return [overWords(c, label, [...rows, ...c.old('dh')], {log: true}),
       h('p', {}, `At ${quoted(c, c.t)}: ${rows.map(row => `${row.name} ${fmt(row.values[c.t])}`).join(', ')}.`),
       numbers(c, rows.map(row => row.name), k => rows.map(row => fmt(row.values[k])))];
   }},
  {id: 'break',
   ask(c) {
     const {gates, slip: [target, line]} = c.model.cell;
     const {blocks} = checkRule(c.reading, 1, c.label, {}, {[target]: line});
     const wrong = gates.filter(gate => blocks.some(one => one.name === gate && !one.ok));
     return {question: `Suppose a line says ${target} = ${line}. After one step, which weights get a wrong gradient?`,
             options: [...gates.map(gate => [gate, `those of ${gateName(gate)}`]), ['', gates[1] ? 'all' : 'none']],
             right: wrong[1] ? '' : wrong[0], because: `Those of ${wrong.map(gateName).join(', ')} are wrong.`};
   },
   controls(c) {
     const {backward: lines} = c.model.cell, offered = DATA.mistakes[c.model.kind], rule = c.rule = {T: 8, lines: {}};
     const name = target => target !== 'from_h' ? target : c.model.kind === 'gru' ? 'dh_prev +' : 'dh_prev';
     const fields = lines.map(([number, target, value]) => h('input', {
       value, maxlength: 200, spellcheck: 'false', autocapitalize: 'off', 'aria-label': `line ${number}, ${name(target)}`,
       oninput() { rule.lines[target] = this.value, drawStation(); }}));
     const fill = (mistake, text) => {
       lines.forEach(([, target, line], k) => {
         rule.lines[target] = fields[k].value = text ?? mistake?.lines[target] ?? line;
       });
       rule.mistake = mistake, at('mistake').value = offered.indexOf(mistake);
       drawStation();
     };
     const names = [[-1, 'none'], ...offered.map((one, k) => [k, plain(one.name)])];
     return [choice('Mistake', names, -1, k => fill(offered[k]), 'mistake'),
       choice('words', [1, 2, 3, 8].map(T => [T, T]), 8, T => { rule.T = +T, drawStation(); }),
       button('Empty all lines: I write them', () => fill(undefined, '')), button('The right lines', () => fill()),
       table('Write with + − * / @ ** ( ), .T, sum, tanh, sigma and the names of the step.',
         ['line', 'what it computes', 'check'], lines.map(([number, target], k) => [
           h('td', {}, `${number}. ${name(target)} =`), h('td', {class: 'field'}, fields[k]),
           h('td', {id: 'line-' + target})]), {class: 'lines'})];
   },
   draw(c) {
     const {mistake, T, lines} = c.rule, flow = mistake?.flow, found = checkRule(c.reading, T, c.label, {flow}, lines);
     const {blocks} = found, red = blocks.filter(block => !block.ok).length, curves = [];
     const kind = ok => ({class: ok ? 'good' : 'bad'});
     for (const [target, {ok, words}] of Object.entries(found.lines)) {
       at('line-' + target).replaceChildren(h('span', kind(ok), ok ? '✓ right' : `✗ ${words}`));
     }
     const told = red ? `Red: ${red} of ${blocks.length} gradients are wrong.` :
       `Green: all ${blocks.length} gradients are right.`;
     const cell = ({ok, name, part, analytic, numeric}) => h('td', kind(ok), ok ? '✓ ' : '✗ ',
       name ? '' : part + ' ', h('small', {}, ok ? '' : `${fmt(analytic)}, not `, fmt(numeric)));
     const rows = [...c.model.cell.gates, ''].map(gate => {
       const row = blocks.filter(block => block.name === gate);
       return [h('td', {}, gate ? gateName(gate) : 'inputs'), ...row.map(cell)];
     });
     if (!found.error) {
       const {dh} = backFrom(c.reading, c.label, {flow, lines});
       curves.push({name: 'with these lines', values: c.along(dh)});
     }
     c.later(told);
     return [h('p', {id: 'verdict', ...kind(!red)}, told, found.error && ` The loop stops: ${found.error}.`),
       mistake && h('p', {}, `${plain(mistake.name)}. What one sees: ${mistake.seen}. `,
         mistake.line && `In the derivation: line ${mistake.line}. `, h('b', {}, plain(mistake.question)),
         flow && ' This mistake is in the loop around the lines.'),
       table(`Words of your text: ${T}, from a state that is not zero. All numbers of a block move at once, each a ` +
         'little; the loss must change as the gradient says.',
       ['gradients of', 'W, rows of h', 'W, rows of x', 'b'], rows, {id: 'blocks'}),
       overWords(c, 'The gradient that arrives at h after each word of the whole text, with these lines and the right ones.',
         [...curves, {name: 'with the right lines', values: c.norms.dh, kind: 'ghost'}], {log: true})];
   }},
  {id: 'change',
   ask(c) {
     const {gate} = c.model.cell, {model, p} = c.reading;
     const [what, changed] = gate ?
       [`Every bias of the ${gate} gate becomes −2, so that little is kept.`, changedModel(model, {bias: -2})] :
       ['One step of SGD on this text, with learning rate 1.', learn(c.reading, c.label, 1).model];
     const now = read(changed, c.items).p;
     return {question: `${what} What does p(positive) do?`,
             options: [[1, 'it rises'], [-1, 'it falls'], [0, 'it moves by less than 0.05']],
             right: Math.abs(now - p) < .05 ? 0 : Math.sign(now - p), because: `It ${moves(p, now)}.`};
   },
   controls(c) {
     const {gate, gates} = c.model.cell, {bias = '', held = {}} = c.changed;
     const change = part => c.change(() => Object.assign(c.changed, part)), biases = [-2, 0, 1, 3].map(v => [v, fmt(v)]);
     const values = gates.flatMap(name => [0, 1].map(v => [`${gateSymbol(name)} ${v}`, `${gateName(name)} = ${v}`]));
     const hold = value => change({held: value && Object.fromEntries([value.split(' ')])});
     return [...gate ? [
       choice(`Bias of the ${gate} gate`, [['', 'as trained'], ...biases], bias, v => change({bias: v && +v})),
       choice('Hold a gate', [['', 'none'], ...values], Object.entries(held).join().replace(',', ' '), hold)] : [],
     choice('Clip the gradient at', [[Infinity, 'off'], [.1, .1], [1, 1]], c.clip, clip => c.set({clip: +clip})),
     button('Undo', c.undo)];
   },
   draw(c) {
     const steps = [.01, .1, 1].map(rate => ({rate, ...learn(c.reading, c.label, rate, c.clip)})), size = steps[0].norm;
     const found = reading => [prob(reading.p), fmt(lossOf(reading.logit, c.label))], [p, loss] = found(c.reading);
     const side = MODELS.map(model => {
       const reading = read(model, c.itemsOf(model)), back = backFrom(reading, c.label);
       const arrives = k => norm(back.dh.row(reading.first + k).values);
       return [model.name, prob(reading.p), fmt(arrives(1) / arrives(reading.n))];
     });
     return [overWords(c, c.ghost ? `p(positive) ${moves(c.ghost.p, c.reading.p)}.` :
       'This is p(positive) after each word. Change something, and the old curve stays as a dashed line.', answers(c)),
     table('One step of SGD on this text', ['learning rate', 'p after', 'loss after'],
       steps.map(({rate, model}) => [rate, ...found(read(model, c.items))])),
     h('p', {}, `Before the step p is ${p} and the loss ${loss}; right is ${c.label ? 'positive' : 'negative'}. The ` +
       `gradient of all weights has norm ${fmt(size)}${size > c.clip ? `, clipped to ${c.clip}` : ''}.`),
     table('Side by side, as trained', ['model', 'p(positive)', 'gradient of h, first word / last'], side),
     !MODELS[1] && h('p', {class: 'soft'},
       'Several runs in one page, python examples/explorer.py RUN RUN RUN, stand here side by side.')];
   }},
];
