// The seven stations, as data. Each asks its question before it draws:
//   ask(c): {question, options: [[value, words]], right, because}     controls(c): nodes, made once     draw(c): nodes

const quoted = (c, k) => `“${c.items[k].word}” (word ${k + 1})`;
const pickFrom = (c, places) => [...new Set(places)].filter(k => k >= 0 && k < c.n).sort((a, b) => a - b);
const unitControl = c => h('label', {}, 'Unit ', h('input', {type: 'number', min: 0, max: c.model.H - 1, value: c.unit, onchange() {
  c.set({unit: Math.max(0, Math.min(c.model.H - 1, Math.round(Number(this.value)) || 0))});
  this.value = c.unit;
}}), h('span', {class: 'soft'}, `0 to ${c.model.H - 1}; each has its own memory`));
const choice = (label, options, value, change) => h('label', {}, label + ' ', h('select', {onchange() { change(this.value); }},
  options.map(([key, words]) => h('option', {value: key, selected: key === value}, words))));
const memory = c => c.model.kind === 'lstm' ? 'c' : 'h';
const wordsAbout = (was, now) => Math.abs(now - was) < 0.0005 ? 'does not move' : `${now > was ? 'rises' : 'falls'} by ${Math.abs(now - was).toFixed(3)}`;

const STATIONS = [
  {id: 'read', title: 'Read', lead: 'The network reads one word after the other. After each it could stop and answer.',
   ask(c) {
     const order = c.changes.map((_, k) => k).sort((a, b) => Math.abs(c.changes[b]) - Math.abs(c.changes[a])), top = order[0];
     const places = pickFrom(c, [top, order[1], order[Math.floor(c.n / 2)], order[c.n - 1], c.n - 1]);
     return {question: 'Which word moves p(positive) most?', options: places.map(k => [k, quoted(c, k)]), right: top,
             because: `${quoted(c, top)} moves p by ${signed(c.changes[top])}, to ${prob(c.ps[top])}.`};
   },
   controls: c => [
     h('button', {type: 'button', onclick: () => c.strike()}, 'Strike out the word, or put it back'),
     h('label', {}, 'Another word for it ', h('input', {id: 'other', size: 10, maxlength: 40, dir: 'auto', onkeydown(event) {
       if (event.key === 'Enter') c.replace(this.value);
     }})), h('button', {type: 'button', onclick: () => c.replace(at('other').value)}, 'Replace'),
     h('button', {type: 'button', onclick: () => c.undo()}, 'Undo')],
   draw(c) {
     const top = c.changes.map((v, k) => [v, k]).sort((a, b) => b[0] - a[0]), [best, worst] = [top[0], top.at(-1)];
     const text = `The line is p(positive) after each word; a bar is the change by that word. ${quoted(c, best[1])} raises p most ` +
       `(${signed(best[0])}), ${quoted(c, worst[1])} lowers it most (${signed(worst[0])}).`;
     const curves = [{name: 'p(positive)', values: c.ps, kind: ''}, ...c.ghostCurve('ps', 'before your change')];
     return [figure(chart({label: text, words: c.words, curves, bars: c.changes, t: c.t, pick: c.pick, width: c.width}), text,
       tableOf('The numbers of this picture', ['word', 'p', 'change'], () => c.words.map((w, k) => [w, prob(c.ps[k]), signed(c.changes[k])])))];
   }},
  {id: 'remember', title: 'Remember', lead: 'Between two words the network has only its state: one number for each unit.',
   ask(c) {
     const name = memory(c), [from, to] = [c.state(name, 0), c.state(name, c.n - 1)];
     const share = from.filter((v, u) => v * to[u] > 0).length / c.model.H, right = share < .1 ? 0 : share < .4 ? 1 : share <= .7 ? 2 : 3;
     return {question: `After the last word, what share of the units still has the sign that the first word gave it (in ${name})?`,
             options: [[0, 'under 10 %'], [1, '10 to 40 %'], [2, '40 to 70 %'], [3, 'over 70 %']], right,
             because: `${percent(share)} of the ${c.model.H} units do. By chance it would be about half.`};
   },
   controls(c) {
     const names = [...new Set([memory(c), 'h', ...c.model.cell.forward.map(([target]) => target)])];
     const range = (id, label) => h('label', {}, label, h('input', {type: 'range', id, min: 1, max: c.n, value: c[id] + 1, oninput() {
       c.set({[id]: Number(this.value) - 1});
     }}));
     return [choice('Show', names.map(name => [name, symbol(name).replace('_t', '')]), c.shown, shown => c.set({shown})),
             range('from', 'From word '), range('to', 'to word ')];
   },
   draw(c) {
     const [from, to] = [Math.min(c.from, c.to, c.n - 1), Math.min(Math.max(c.from, c.to), c.n - 1)], name = c.shown;
     const values = c.words.map((_, k) => c.state(name, k)), range = values.slice(from, to + 1), stays = [];
     for (let u = 0; u < c.model.H; u++) {
       const most = Math.max(...values.map(row => Math.abs(row[u]))), sign = Math.sign(range[0][u]);
       if (most > 0 && range.every(row => row[u] * sign >= most / 2)) stays.push(u);
     }
     const list = stays.slice(0, 12).join(', ') + (stays.length > 12 ? ` and ${stays.length - 12} more` : '');
     const text = `Rows are units, columns words. From ${quoted(c, from)} to ${quoted(c, to)}, ` + (stays.length ?
       `${stays.length} of ${c.model.H} units stay on: ${list}.` : 'no unit stays on.') +
       ' On means: one sign, and at least half of the unit’s own largest value. Blue is positive, orange negative.';
     const brush = (a, b) => { at('from').value = a + 1, at('to').value = b + 1, c.set({from: a, to: b}); };
     return [figure(strip({label: text, values, from, to, chosen: stays, width: c.width, brush}), text,
       tableOf('The numbers of these words', ['unit', ...c.words.slice(from, to + 1)],
         () => range[0].map((_, u) => u).filter(u => !stays.length || stays.includes(u)).map(u => [u, ...range.map(row => fmt(row[u]))])))];
   }},
  {id: 'forward', title: 'One step forward', lead: 'One word, one unit, all equations with their numbers.',
   ask(c) {
     const env = c.env, u = c.unit, [old, fresh] = {
       lstm: ['f * c_prev', 'i * c_tilde'], gru: ['z * h_prev', '(1 - z) * n'], rnn: ['past_h', 'present_h']}[c.model.kind]
       .map(line => Math.abs(compute(line, env).values[u]));
     return {question: `At ${quoted(c, c.t)}, unit ${u}: which share of the new ${memory(c)} is larger in size?`,
             options: [[0, 'what is kept of the past'], [1, 'what this word adds']], right: old > fresh ? 0 : 1,
             because: `The past’s share is ${fmt(old)} in size, the word’s ${fmt(fresh)}.`};
   },
   controls: c => [unitControl(c)],
   draw: c => [h('div', {class: 'side'}, h('div', {}, forwardLedger(c), ...c.model.cell.gates.map(gate => sumTerms(c, gate))),
     figure(cellPicture(c), [c.model.kind === 'rnn' ? 'The new state h is all there is: the past passes through w and tanh at every step.' :
       `The ${c.model.kind === 'lstm' ? 'top line is the memory c' : 'top line is the state h'}: `,
       c.model.kind === 'rnn' ? '' : h('span', {'data-sym': c.model.kind === 'lstm' ? 'f' : 'z'},
         `${c.model.kind === 'lstm' ? 'f' : 'z'} = ${fmt(c.env[c.model.kind === 'lstm' ? 'f' : 'z'].values[c.unit])}`),
       c.model.kind === 'rnn' ? '' : ' says how much of it is kept. Choose a symbol in the ledger to see where it stands.']))]},
  {id: 'back', title: 'One step back', lead: 'The same step, read from the bottom up. d with a name is the gradient of the loss for it.',
   ask(c) {
     const {target, ...parts} = {lstm: {target: 'df', a: 'dc', b: 'c_prev'}, gru: {target: 'dz', a: 'dh', b: ''}, rnn: {target: 'dz', a: 'dh', b: 'h'}}[c.model.kind];
     const env = c.back.steps[c.step], u = c.unit, value = env[target].values[u], line = c.model.cell.backward.find(row => row[1] === target)[3];
     const given = [parts.a, ...(c.model.kind === 'gru' ? ['h_prev', 'n'] : [parts.b])].map(name => `${symbol(name).replace('_{t-1}', ' before').replace('_t', '')} = ${fmt(env[name].values[u])}`);
     return {question: `At ${quoted(c, c.t)}, unit ${u}: ${given.join(', ')}. Which sign has ${target}?`,
             options: [[1, '+'], [-1, '−'], [0, 'it is 0']], right: Math.sign(value), because: `${line} gives ${fmt(value)}.`};
   },
   controls: c => [unitControl(c)],
   draw: c => [backwardLedger(c), h('p', {}, 'Two numbers arrive at dh: what the loss sends to this h_t, and what step t+1 sends back. ',
     c.model.kind === 'lstm' ? 'Two arrive at dc: along the cell, and through h_t. ' : '', 'The numbers in front are those of the derivation in minilstm/cells/',
     c.model.kind, '.py. Line 2 adds up h, x times dz over all steps: that is the gradient of W.')]},
  {id: 'time', title: 'Through time', lead: 'The loss is computed after the last word. How much of it still arrives at earlier words?',
   ask(c) {
     const places = pickFrom(c, [0, Math.floor(c.n / 2), c.n - 1]), size = k => c.norms.dh[k], right = places.reduce((a, b) => size(b) > size(a) ? b : a);
     return {question: 'Whose h_t gets the largest gradient?', options: places.map(k => [k, quoted(c, k)]), right,
             because: places.map(k => `${quoted(c, k)}: ${fmt(size(k))}`).join('; ') + '.'};
   },
   controls: () => [],
   draw(c) {
     const {dh, dc, kept} = c.norms, ratio = dh[0] / dh[c.n - 1], way = {lstm: 'c', gru: 'h'}[c.model.kind];
     const curves = [{name: '‖∂L/∂h_t‖', values: dh, kind: ''}, ...(dc ? [{name: '‖∂L/∂c_t‖', values: dc, kind: 'second'}] : []),
       ...(kept ? [{name: `its part along ${way} alone`, values: kept, kind: 'third'}] : []), ...c.ghostCurve('dh', '‖∂L/∂h_t‖ before')];
     const text = `The scale is logarithmic: each line down is a factor. Of the gradient at the last word, ${fmt(ratio)} times as much arrives at the first one. ` +
       (kept ? `The dotted line is what came back along ${way} alone, by a factor ${way === 'c' ? 'f' : 'z'} a step: at the first word ${fmt(kept[0])}, by all ways ${fmt((dc ?? dh)[0])}. ` :
         'It has one way back only, through W and tanh’ at every step. ') +
       (c.reading.first ? `Before the words stand ${c.reading.first} steps of padding; at the very first, ${fmt(norm(c.back.dh.row(1).values))} is left.` : '');
     return [figure(chart({label: text, words: c.words, curves, log: true, t: c.t, pick: c.pick, width: c.width}), text,
       h('p', {}, `At ${quoted(c, c.t)}: ‖∂L/∂h_t‖ = ${fmt(dh[c.t])}` + (dc ? `, ‖∂L/∂c_t‖ = ${fmt(dc[c.t])}` : '') + '. Move through the words with the arrow keys on “Word”.'),
       tableOf('The numbers of this picture', ['word', '‖∂L/∂h‖', ...(dc ? ['‖∂L/∂c‖'] : []), ...(kept ? ['along ' + way] : [])],
         () => c.words.map((w, k) => [w, ...[dh, dc, kept].filter(Boolean).map(row => fmt(row[k]))])))];
   }},
  {id: 'break', title: 'Break it and mend it', lead: 'A backward pass is easy to get wrong. A check by finite differences sees it.',
   ask(c) {
     const [target, line] = {lstm: ['df', 'dc * c'], gru: ['dz', 'dh * (n - h_prev)'], rnn: ['dz', 'dh']}[c.model.kind];
     const red = checkRule(shortRun(c.reading, 1), c.label, {}, {[target]: line}).blocks.filter(one => !one.ok && one.name).map(one => one.name);
     const gates = [...new Set(red)], options = c.model.cell.gates.map(gate => [gate, c.model.kind === 'rnn' ? 'W and b' : `those of ${symbol(gate === 'c' ? 'c_tilde' : gate).replace('_t', '')}`]);
     return {question: `Suppose a line read ${target} = ${line}. After a single step, which weights get a wrong gradient?`,
             options: [...options, ['all', c.model.kind === 'rnn' ? 'none' : 'all of them']], right: gates.length === 1 ? gates[0] : 'all',
             because: `The check turns red at ${gates.join(', ')}${gates.length === 1 ? ' alone' : ''}.`};
   },
   controls: c => breakControls(c), draw: c => breakPicture(c)},
  {id: 'change', title: 'Change and learn', lead: 'Change one thing, and see what it does to this text.',
   ask(c) {
     const gate = {lstm: 'forget', gru: 'update'}[c.model.kind];
     const p = gate ? read(changedModel(c.model, {bias: -2}), c.reading.items).p : read(learn(c.reading, c.label, 1).model, c.reading.items).p;
     const apart = p - c.reading.p, right = Math.abs(apart) < .05 ? 0 : Math.sign(apart);
     return {question: gate ? `Every bias of the ${gate} gate becomes −2, so that little is kept. What does p(positive) do?` :
       'One step of SGD on this text, learning rate 1. What does p(positive) do?',
             options: [[1, 'it rises'], [-1, 'it falls'], [0, 'it moves by less than 0.05']], right,
             because: `p ${wordsAbout(c.reading.p, p)}: ${prob(c.reading.p)} before, ${prob(p)} after.`};
   },
   controls: c => changeControls(c), draw: c => changePicture(c)},
];

function breakControls(c) {
  const offered = c.data.mistakes[c.model.kind], rule = c.rule = {mistake: -1, T: 8, lines: {}};
  const fields = Object.fromEntries(c.model.cell.backward.map(([number, target, line]) => [target, h('input', {
    value: line, maxlength: 200, spellcheck: 'false', autocapitalize: 'off', 'aria-label': `line ${number}, ${target}`, oninput() {
      rule.lines[target] = this.value;
      c.redraw();
    }})]));
  const fill = texts => {
    for (const [, target, line] of c.model.cell.backward) {
      fields[target].value = texts[target] ?? line;
      rule.lines[target] = fields[target].value;
    }
    c.redraw();
  };
  const names = [['-1', 'none: the derivation as it is'], ...offered.map((one, k) => [String(k), one.name])];
  const select = choice('A mistake', names, '-1', value => { rule.mistake = Number(value); fill(offered[value]?.lines ?? {}); });
  select.lastChild.id = 'mistake';
  const body = h('tbody', {}, c.model.cell.backward.map(([number, target]) => h('tr', {},
    h('td', {}, `${number}. `, h('code', {}, {from_h: 'dh_prev +='}[target] ?? (target === 'dhx' ? '[dh_prev, dx]' : target))),
    h('td', {class: 'field'}, fields[target]), h('td', {id: 'line-' + target}))));
  return [h('div', {class: 'row'}, select, choice('Steps', [1, 2, 3, 8].map(T => [String(T), String(T)]), '8', T => { rule.T = Number(T); c.redraw(); }),
    h('button', {type: 'button', onclick: () => fill(Object.fromEntries(c.model.cell.backward.map(row => [row[1], '']))) }, 'Empty all lines: I write them'),
    h('button', {type: 'button', onclick: () => { rule.mistake = -1; select.lastChild.value = '-1'; fill({}); }}, 'The derivation again')),
    h('table', {class: 'lines'}, h('caption', {class: 'soft'}, 'Write with + − * / @ ** ( ), .T, sum, tanh, sigma and the names of the step.'),
      h('thead', {}, h('tr', {}, ['line', 'what it computes', 'check'].map(name => h('th', {scope: 'col'}, name)))), body)];
}

function breakPicture(c) {
  const rule = c.rule, one = c.data.mistakes[c.model.kind][rule.mistake], T = rule.T, flow = one?.flow ?? '';
  const found = checkRule(shortRun(c.reading, T), c.label, {flow}, rule.lines), red = found.blocks.filter(block => !block.ok);
  for (const [target, {ok, words}] of Object.entries(found.lines)) {
    at('line-' + target).replaceChildren(h('span', {class: ok ? 'good' : 'bad'}, ok ? '✓ right' : `✗ ${words || 'wrong'}`));
  }
  const verdict = red.length ? `The check is red: ${red.length} of ${found.blocks.length} gradients are wrong.` : `The check is green: all ${found.blocks.length} gradients are right.`;
  let norms = null;
  try {
    const back = backFrom(c.reading, c.label, {flow, lines: rule.lines});
    norms = c.words.map((_, k) => norm(back.dh.row(c.reading.first + k + 1).values));
  } catch { /* the message stands at the line */ }
  const text = 'The gradient that arrives at each h_t of your whole text, with these lines and with the right ones.';
  c.later(verdict);
  return [h('p', {id: 'verdict', class: red.length ? 'bad' : 'good'}, verdict, found.error ? ` The loop stops: ${found.error}.` : ''),
    one ? h('div', {}, h('h3', {}, one.name), h('p', {}, `What one sees: ${one.seen}. ${one.line ? `Line ${one.line.replace('gru ', '')} of the derivation. ` : ''}`, h('b', {}, one.question)),
      one.flow ? h('p', {class: 'soft'}, 'This mistake is in the loop around the lines, not in one of them.') : '') : '',
    h('table', {}, h('caption', {class: 'soft'}, `${T} word${T > 1 ? 's' : ''} of your text, from a state that is not zero. All numbers of a block move at once, each by its own small amount; the loss must change as the gradient says.`),
      h('thead', {}, h('tr', {}, ['gradient of', 'from the lines', 'measured', ''].map(name => h('th', {scope: 'col'}, name)))),
      h('tbody', {}, found.blocks.map(({name, part, ok, analytic, numeric}) => h('tr', {},
        h('td', {}, name ? `${name}: ${part}` : part.replace('_0', ' before')), h('td', {class: 'number'}, Number.isFinite(analytic) ? fmt(analytic) : '–'), h('td', {class: 'number'}, fmt(numeric)),
        h('td', {class: ok ? 'good' : 'bad'}, ok ? '✓' : '✗ wrong'))))),
    norms ? figure(chart({label: text, words: c.words, t: c.t, pick: c.pick, width: c.width, log: true, curves: [
      {name: 'with these lines', values: norms, kind: ''}, {name: 'with the right ones', values: c.norms.dh, kind: 'ghost'}]}), text) : ''];
}

function changeControls(c) {
  const gate = {lstm: 'forget', gru: 'update'}[c.model.kind], set = change => c.set({change: {...c.change, ...change}}, 'change');
  const held = c.model.cell.gates.filter(name => c.model.kind !== 'rnn').map(name => name === 'c' ? 'c_tilde' : name)
    .flatMap(name => [0, 1].map(value => [`${name} ${value}`, `${symbol(name).replace('_t', '')} = ${value}`]));
  return [
    gate ? choice(`Bias of the ${gate} gate`, [['', 'as trained'], ...[-2, 0, 1, 3].map(v => [String(v), minus(String(v))])], '',
      value => set({bias: value === '' ? null : Number(value)})) : '',
    held.length ? choice('Hold a gate', [['', 'none'], ...held], '', value => {
      const [name, number] = value.split(' ');
      set({held: value ? {[name]: Number(number)} : {}});
    }) : '',
    choice('Clip the gradient’s norm at', [['Infinity', 'off'], ['0.1', '0.1'], ['1', '1']], 'Infinity', clip => c.set({clip: Number(clip)})),
    h('button', {type: 'button', onclick: () => { c.undo(); c.enter(); }}, 'Undo all changes')];
}

function changePicture(c) {
  const was = c.ghost?.p ?? c.reading.p, rates = [0.01, 0.1, 1], right = c.label ? 'positive' : 'negative';
  const text = `p(positive) is ${prob(c.reading.p)}` + (c.ghost ? `; before your change it was ${prob(was)}: it ${wordsAbout(was, c.reading.p)}.` : '. Change something above, and the old curve stays as a dashed line.');
  const steps = rates.map(rate => { const {model, norm: size} = learn(c.reading, c.label, rate, c.clip); return {rate, size, after: read(model, c.reading.items)}; });
  const loss = lossOf(c.reading.logit, c.label), rows = c.all.map(other => {
    const reading = read(other, c.itemsOf(other)), back = backFrom(reading, c.label), size = k => norm(back.dh.row(reading.first + k).values);
    return [other.name, reading.n ? prob(reading.p) : '–', reading.n ? fmt(size(1) / size(reading.n)) : '–'];
  });
  return [figure(chart({label: text, words: c.words, t: c.t, pick: c.pick, width: c.width,
    curves: [{name: 'p(positive)', values: c.ps, kind: ''}, ...c.ghostCurve('ps', 'before your change')]}), text),
    h('h3', {}, 'One step of SGD on this text'), h('table', {}, h('thead', {}, h('tr', {}, ['learning rate', 'p after', 'loss after'].map(name => h('th', {scope: 'col'}, name)))),
      h('tbody', {}, steps.map(({rate, after}) => h('tr', {}, h('td', {}, String(rate)), h('td', {class: 'number'}, prob(after.p)), h('td', {class: 'number'}, fmt(lossOf(after.logit, c.label))))))),
    h('p', {}, `The right answer is ${right}; before the step p is ${prob(c.reading.p)} and the loss ${fmt(loss)}. The gradient’s norm is ${fmt(steps[0].size)}` +
      (steps[0].size > c.clip ? `, clipped to ${c.clip}.` : ', not clipped.')),
    h('h3', {}, 'Side by side'), h('table', {}, h('thead', {}, h('tr', {}, ['model', 'p(positive)', 'gradient of h: first word / last word'].map(name => h('th', {scope: 'col'}, name)))),
      h('tbody', {}, rows.map(row => h('tr', {}, row.map(cell => h('td', {}, cell)))))),
    c.all.length === 1 ? h('p', {class: 'soft'}, 'Give several runs to see RNN, GRU and LSTM here: python examples/explorer.py RUN RUN RUN.') : ''];
}
