// The seven stations, as data. Each asks its question before it draws:
//   ask(c): {question, options: [[value, words]], right, because}     controls(c): nodes, made once     draw(c): nodes

const quoted = (c, k) => `“${c.words[k]}” (word ${k + 1})`;
const button = (words, onclick) => h('button', {type: 'button', onclick}, words);
const choice = (label, options, value, change, id) => h('label', {}, label + ' ', h('select', {id, onchange() { change(this.value); }},
  options.map(([key, words]) => h('option', {value: key, selected: key === value}, words))));
const unitControl = c => h('label', {}, 'Unit ', h('input', {type: 'number', min: 0, max: c.model.H - 1, value: c.unit, onchange() {
  c.set({unit: Math.max(0, Math.min(c.model.H - 1, Math.round(+this.value) || 0))});
  this.value = c.unit;
}}), `(0 to ${c.model.H - 1})`);
const by = (kind, lstm, gru, rnn) => ({lstm, gru, rnn})[kind];
const keeper = c => by(c.model.kind, 'forget', 'update', '');
const moves = (was, now) => Math.abs(now - was) < .0005 ? 'stays where it is' :
  `${now > was ? 'rises' : 'falls'} by ${Math.abs(now - was).toFixed(3)}, from ${prob(was)} to ${prob(now)}`;
const overWords = (c, label, curves, more) => figure(
  chart({label, words: c.words, curves, t: c.t, pick: t => c.set({t}), width: c.width, ...more}), label);
const places = (c, list) => [...new Set(list)].sort((a, b) => a - b).map(k => [k, quoted(c, k)]);

const STATIONS = [
  {id: 'read', title: 'Read', lead: 'The network reads one word after the other. After each it could stop and answer.',
   ask(c) {
     const order = c.words.map((_, k) => k).sort((a, b) => Math.abs(c.changes[b]) - Math.abs(c.changes[a])), [top] = order;
     return {question: 'Which word moves p(positive) most?', right: top,
             options: places(c, [top, order[1] ?? top, order[c.n >> 1], order[c.n - 1], c.n - 1]),
             because: `${quoted(c, top)} moves p by ${signed(c.changes[top])}, to ${prob(c.ps[top])}.`};
   },
   controls(c) {
     const word = h('input', {id: 'other', size: 10, maxlength: 40, dir: 'auto'}), replace = () => c.replace(word.value);
     word.onkeydown = event => { if (event.key === 'Enter') replace(); };
     return [button('Strike out this word', () => c.strike()), h('label', {}, 'or put another in its place ', word), button('Replace', replace),
             button('Undo', () => c.undo())];
   },
   draw(c) {
     const order = c.words.map((_, k) => k).sort((a, b) => c.changes[b] - c.changes[a]), [best, worst] = [order[0], order.at(-1)];
     return [overWords(c, 'The line is p(positive) after each word, a bar the change by that word. The highest bar is ' +
       `${quoted(c, best)}, ${signed(c.changes[best])}; the lowest ${quoted(c, worst)}, ${signed(c.changes[worst])}.`,
     [{name: 'p(positive)', values: c.ps, kind: ''}, ...c.old('ps', 'before your change')], {bars: c.changes}),
     tableOf('The numbers of this picture', ['word', 'p', 'change'], () => c.words.map((w, k) => [w, prob(c.ps[k]), signed(c.changes[k])]))];
   }},
  {id: 'remember', title: 'Remember', lead: 'Between two words the network has only its state: one number for each unit.',
   ask(c) {
     const [first, last] = [c.state(c.memory, 0), c.state(c.memory, c.n - 1)], share = first.filter((v, u) => v * last[u] > 0).length / c.model.H;
     return {question: `The first word gives each unit of ${c.memory} a sign. How many units still have it after the last word?`,
             options: ['under 10 %', '10 to 40 %', '40 to 70 %', 'over 70 %'].map((words, k) => [k, words]), right: [.1, .4, .7].filter(v => share > v).length,
             because: `${Math.round(100 * share)} % of the ${c.model.H} units do. Tossing coins would give about half.`};
   },
   controls(c) {
     const range = (id, label) => h('label', {}, label, h('input', {type: 'range', id, min: 1, max: c.n, value: c[id] + 1,
       oninput() { c.set({[id]: this.value - 1}); }}));
     return [choice('Show', [...new Set([c.memory, 'h', ...c.model.cell.forward.map(([name]) => name)])].map(name => [name, bare(name)]), c.shown,
       shown => c.set({shown})), range('from', 'from word '), range('to', 'to word ')];
   },
   draw(c) {
     const [from, to] = [Math.min(c.from, c.to), Math.max(c.from, c.to)], values = c.words.map((_, k) => c.state(c.shown, k));
     const range = values.slice(from, to + 1), stays = range[0].map((_, u) => u).filter(u => {
       const most = largest(values.map(row => row[u])), sign = Math.sign(range[0][u]);
       return most > 0 && range.every(row => row[u] * sign >= most / 2);
     });
     const list = stays.slice(0, 12).join(', ') + (stays.length > 12 ? ` and ${stays.length - 12} more` : '');
     const label = `Rows are units, columns words; blue is positive, orange negative. From ${quoted(c, from)} to ${quoted(c, to)} ` +
       `${stays.length || 'no'} unit${stays.length === 1 ? ' stays' : 's stay'} on${list && ': ' + list}. On means: the same sign, and at least half ` +
       'of that unit’s own largest value.';
     const brush = (a, b) => { at('from').value = a + 1, at('to').value = b + 1, c.set({from: a, to: b}); };
     return [figure(strip({label, values, from, to, chosen: stays, width: c.width, brush}), label), tableOf('The numbers of these words',
       ['unit', ...c.words.slice(from, to + 1)], () => (stays.length ? stays : Object.keys(range[0])).map(u => [String(u), ...range.map(row => fmt(row[u]))]))];
   }},
  {id: 'forward', title: 'One step forward', lead: 'One word, one unit: all equations with their numbers.',
   ask(c) {
     const [old, fresh] = by(c.model.kind, ['f * c_prev', 'i * c_tilde'], ['z * h_prev', '(1 - z) * n'], ['past_h', 'present_h'])
       .map(line => Math.abs(compute(line, c.env).values[c.unit]));
     return {question: `At ${quoted(c, c.t)}, unit ${c.unit}: which part of the new ${c.memory} is larger in size?`,
             options: [[0, 'what is kept of the past'], [1, 'what this word brings']], right: +(fresh > old),
             because: `The past brings ${fmt(old)}, the word ${fmt(fresh)}, signs left out.`};
   },
   controls: c => [unitControl(c)],
   draw(c) {
     const gate = by(c.model.kind, 'f', 'z', ''), value = gate && fmt(c.env[gate].values[c.unit]);
     return [h('div', {class: 'side'}, h('div', {}, forwardLedger(c), c.model.cell.gates.map(name => sumTerms(c, name))), figure(cellPicture(c), gate ?
       [`The line on top is the memory ${c.memory}. Of its old value, this step keeps the share `, h('span', {'data-sym': gate}, `${gate} = ${value}`),
        '. Choose a symbol in the ledger to see where it stands.'] : 'The past has one way into h: through w and tanh, at every word again.'))];
   }},
  {id: 'back', title: 'One step back', lead: 'The same step from the last line to the first. dc is short for the gradient of the loss for c.',
   ask(c) {
     const [target, ...given] = by(c.model.kind, ['df', 'dc', 'c_prev'], ['dz', 'dh', 'h_prev', 'n'], ['dz', 'dh', 'h']), env = c.back.steps[c.step];
     const value = name => env[name].values[c.unit], line = c.model.cell.backward.find(row => row[1] === target)[3];
     return {question: `At ${quoted(c, c.t)}, unit ${c.unit}, ${given.map(name => `${bare(name)} = ${fmt(value(name))}`).join(', ')}. Which sign has ${target}?`,
             options: [[1, '+'], [-1, '−'], [0, 'none, it is 0']], right: Math.sign(value(target)), because: `${plain(line)} = ${fmt(value(target))}.`};
   },
   controls: c => [unitControl(c)],
   draw: c => [backwardLedger(c), h('p', {}, 'Two numbers arrive at dh: one from the loss, if this is the last word, and one from the next word. ',
     c.memory === 'c' && 'Two arrive at dc: along the cell, and through h. ', `The numbers in front are those of the derivation in cells/${c.model.kind}.py. `,
     'Its line 2 is a sum over all words, the gradient of W.')]},
  {id: 'time', title: 'Through time', lead: 'The loss comes after the last word. How much of it arrives at earlier words?',
   ask(c) {
     const options = places(c, [0, c.n >> 1, c.n - 1]), dh = c.norms.dh, right = options.reduce((best, [k]) => dh[k] > dh[best] ? k : best, 0);
     return {question: 'After which of these words does h get the largest gradient?', options, right,
             because: options.map(([k, words]) => `${words}: ${fmt(dh[k])}`).join('; ') + '.'};
   },
   controls: () => [],
   draw(c) {
     const {dh, dc, kept} = c.norms, way = c.memory, all = dc ?? dh;
     const rows = [[dh, 'gradient of h', ''], [dc, 'gradient of c', 'second'], [kept, `what came along ${way} alone`, 'third']].filter(([values]) => values);
     const label = `Each line down is a power of ten. At the first word the gradient of h is ${fmt(dh[0] / dh.at(-1))} times that at the last. ` +
       (kept ? `Along ${way} alone, one factor ${by(c.model.kind, 'f', 'z')} a word, ${fmt(kept[0])} comes back to the first word; by all ways it is ${fmt(all[0])}. ` :
         'It has one way back, through W and the slope of tanh at every word. ') +
       (c.reading.first ? `Of the ${c.reading.first} steps of padding before the words, the very first still gets ${fmt(norm(c.back.dh.row(1).values))}.` : '');
     return [overWords(c, label, [...rows.map(([values, name, kind]) => ({name, values, kind})), ...c.old('dh', 'gradient of h before your change')], {log: true}),
       h('p', {}, `At ${quoted(c, c.t)}: ${rows.map(([values, name]) => `${name} ${fmt(values[c.t])}`).join(', ')}. Walk with the arrow keys on “Word”.`),
       tableOf('The numbers of this picture', ['word', ...rows.map(row => row[1])], () => c.words.map((w, k) => [w, ...rows.map(([values]) => fmt(values[k]))]))];
   }},
  {id: 'break', title: 'Break it and mend it', lead: 'A backward pass is easy to get wrong. Finite differences show it.',
   ask(c) {
     const [target, line] = by(c.model.kind, ['df', 'dc * c'], ['dz', 'dh * (n - h_prev)'], ['dz', 'dh']), one = c.model.kind === 'rnn';
     const red = checkRule(shortRun(c.reading, 1), c.label, {}, {[target]: line}).blocks.filter(block => !block.ok && block.name).map(block => block.name);
     const gates = [...new Set(red)], name = gate => bare(gateSymbol(gate));
     return {question: `Suppose a line says ${target} = ${line}. After a single step, which weights get a wrong gradient?`,
             options: one ? [['h', 'W and b'], ['', 'none']] : [...c.model.cell.gates.map(gate => [gate, `those of ${name(gate)}`]), ['', 'all']],
             right: gates.length === 1 ? gates[0] : '', because: `Wrong are those of ${gates.map(name).join(', ')}${gates.length === 1 ? ' alone' : ''}.`};
   },
   controls(c) {
     const lines = c.model.cell.backward, offered = c.data.mistakes[c.model.kind], rule = c.rule = {mistake: null, T: 8, lines: {}}, fields = {};
     for (const [number, target, line] of lines) {
       fields[target] = h('input', {value: line, maxlength: 200, spellcheck: 'false', autocapitalize: 'off', 'aria-label': `line ${number}, ${target}`,
         oninput() { rule.lines[target] = this.value, c.redraw(); }});
     }
     const fill = (text, mistake) => {
       for (const [, target, line] of lines) rule.lines[target] = fields[target].value = text(target, line);
       if (mistake !== undefined) rule.mistake = mistake, at('mistake').value = mistake ? offered.indexOf(mistake) : -1;
       c.redraw();
     };
     const use = mistake => fill((target, line) => mistake?.lines[target] ?? line, mistake ?? null);
     return [choice('Mistake', [['-1', 'none'], ...offered.map((one, k) => [String(k), one.name])], '-1', k => use(offered[k]), 'mistake'),
       choice('words', ['1', '2', '3', '8'].map(T => [T, T]), '8', T => { rule.T = +T, c.redraw(); }),
       button('Empty all lines: I write them', () => fill(() => '', null)), button('The right lines', () => use(null)),
       table('Write with + − * / @ ** ( ), .T, sum, tanh, sigma and the names of the step.', ['line', 'what it computes', 'check'],
         lines.map(([number, target]) => [h('td', {}, `${number}. ${{from_h: 'dh_prev +', dhx: '[dh_prev, dx]'}[target] ?? target} =`),
           h('td', {class: 'field'}, fields[target]), h('td', {id: 'line-' + target})]), {class: 'lines'})];
   },
   draw(c) {
     const {mistake, T, lines} = c.rule, flow = mistake?.flow ?? '', found = checkRule(shortRun(c.reading, T), c.label, {flow}, lines);
     const verdict = ok => ok ? 'good' : 'bad', red = found.blocks.filter(block => !block.ok), all = found.blocks.length;
     for (const [target, {ok, words}] of Object.entries(found.lines)) {
       at('line-' + target).replaceChildren(h('span', {class: verdict(ok)}, ok ? '✓ right' : `✗ ${words || 'wrong'}`));
     }
     const told = red.length ? `Red: ${red.length} of ${all} gradients are wrong.` : `Green: all ${all} gradients are right.`;
     const cell = ({ok, analytic, numeric}) => h('td', {class: verdict(ok)}, ok ? '✓ ' : '✗ ', h('small', {}, ok ? fmt(numeric) : `${fmt(analytic)}, not ${fmt(numeric)}`));
     const rows = [], gates = c.model.cell.gates.length;
     for (let k = 0; k <= gates; k++) {
       const row = found.blocks.slice(3 * k, 3 * k + 3);
       rows.push([h('td', {}, k < gates ? bare(gateSymbol(row[0].name)) : row.map(block => block.part).join(', ')), ...row.map(cell)]);
     }
     let broken = [];
     if (!found.error) broken = [{name: 'with these lines', kind: '', values: c.along(backFrom(c.reading, c.label, {flow, lines}).dh)}];
     c.later(told);
     return [h('p', {id: 'verdict', class: verdict(!red.length)}, told, found.error && ` The loop stops: ${found.error}.`),
       mistake && h('p', {}, `${mistake.name}. What one sees: ${mistake.seen}. ${mistake.line && `Line ${mistake.line} of the derivation. `}`, h('b', {}, plain(mistake.question)),
         mistake.flow && ' This mistake is in the loop around the lines, not in one of them.'),
       table(`Your text’s first ${T} word${T > 1 ? 's' : ''}, from a state that is not zero. All numbers of a block move at once, each a little; the loss must change as the gradient says.`,
         ['gradients of', 'W, rows of h', 'W, rows of x', 'b'], rows, {id: 'blocks'}),
       overWords(c, 'The gradient that arrives at h after each word of the whole text, with these lines and with the right ones.',
         [...broken, {name: 'with the right lines', values: c.norms.dh, kind: 'ghost'}], {log: true})];
   }},
  {id: 'change', title: 'Change and learn', lead: 'Change one thing and see what it does to this text.',
   ask(c) {
     const p = read(keeper(c) ? changedModel(c.model, {bias: -2}) : learn(c.reading, c.label, 1).model, c.items).p, apart = p - c.reading.p;
     return {question: keeper(c) ? `Every bias of the ${keeper(c)} gate becomes −2, so that little is kept. What does p(positive) do?` :
       'One step of SGD on this text, with learning rate 1. What does p(positive) do?', right: Math.abs(apart) < .05 ? 0 : Math.sign(apart),
             options: [[1, 'it rises'], [-1, 'it falls'], [0, 'it moves by less than 0.05']], because: `It ${moves(c.reading.p, p)}.`};
   },
   controls(c) {
     const gates = keeper(c) ? c.model.cell.gates.map(gateSymbol) : [], change = part => c.change(() => Object.assign(c.changed, part));
     return [keeper(c) && choice(`Bias of the ${keeper(c)} gate`, [['', 'as trained'], ...[-2, 0, 1, 3].map(v => [String(v), fmt(v)])], String(c.changed.bias ?? ''),
       value => change({bias: value ? +value : null})),
     gates.length && choice('Hold a gate', [['', 'none'], ...gates.flatMap(name => [0, 1].map(v => [`${name} ${v}`, `${bare(name)} = ${v}`]))],
       Object.entries(c.changed.held ?? {}).join().replace(',', ' '), value => change({held: value ? Object.fromEntries([value.split(' ').map((v, k) => k ? +v : v)]) : {}})),
     choice('Clip the gradient at', [['Infinity', 'off'], ['0.1', '0.1'], ['1', '1']], String(c.clip), clip => c.set({clip: +clip})), button('Undo', () => c.undo())];
   },
   draw(c) {
     const steps = [.01, .1, 1].map(rate => ({rate, ...learn(c.reading, c.label, rate, c.clip)})), {norm: size} = steps[0];
     const loss = reading => fmt(lossOf(reading.logit, c.label)), side = c.all.map(model => {
       const reading = read(model, c.itemsOf(model)), back = backFrom(reading, c.label), length = k => norm(back.dh.row(reading.first + k).values);
       return [model.name, prob(reading.p), fmt(length(1) / length(Math.max(reading.n, 1)))];
     });
     return [overWords(c, c.ghost ? `p(positive) ${moves(c.ghost.p, c.reading.p)}.` : 'This is p(positive) after each word. Change something, and the old curve stays as a dashed line.',
       [{name: 'p(positive)', values: c.ps, kind: ''}, ...c.old('ps', 'before your change')]),
     table('One step of SGD on this text', ['learning rate', 'p after', 'loss after'], steps.map(({rate, model}) => [String(rate), ...[read(model, c.items)].flatMap(
       reading => [prob(reading.p), loss(reading)])])),
     h('p', {}, `Before the step p is ${prob(c.reading.p)} and the loss ${loss(c.reading)}; the right answer is ${c.label ? 'positive' : 'negative'}. ` +
       `The gradient of all weights has norm ${fmt(size)}${size > c.clip ? `, clipped to ${c.clip}` : ''}.`),
     table('Side by side, as trained', ['model', 'p(positive)', 'gradient of h, first word / last'], side),
     c.all.length < 2 && h('p', {class: 'soft'}, 'Several runs in one page, python examples/explorer.py RUN RUN RUN, stand here side by side.')];
   }},
];
