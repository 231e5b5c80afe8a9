// The page in a browser, offline: run by tests/explorer/test_browser.py, which names PAGE (three models) and BROWSER.

import assert from 'node:assert/strict';
import {readFileSync, writeFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {after, before, test} from 'node:test';
import {pathToFileURL} from 'node:url';
import {chromium} from 'playwright-core';

const {PAGE, BROWSER} = process.env, AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const STATIONS = ['read', 'remember', 'forward', 'back', 'time', 'break', 'change'];
const SCREENS = {
  'wide and light': {viewport: {width: 1280, height: 900}, colorScheme: 'light'},
  'wide and dark': {viewport: {width: 1280, height: 900}, colorScheme: 'dark'},
  'phone and light': {viewport: {width: 390, height: 844}, colorScheme: 'light', hasTouch: true, isMobile: true},
  'phone and dark': {viewport: {width: 390, height: 844}, colorScheme: 'dark', hasTouch: true, reducedMotion: 'reduce'},
};
let browser;

before(async () => {
  const args = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
                '--disable-component-update', '--disable-sync'];
  browser = await chromium.launch({executablePath: BROWSER, args});
});
after(() => browser.close());

// Run `work(page)` on an open page; nothing may be written to the console, thrown or fetched.
async function opened(options, work, path = PAGE) {
  const context = await browser.newContext({...options, offline: true}), page = await context.newPage(), noise = [];
  page.on('console', message => noise.push(`console: ${message.text()}`));
  page.on('pageerror', error => noise.push(`error: ${error.stack}`));
  page.on('request', request => request.url() === pathToFileURL(path).href || noise.push(`request: ${request.url()}`));
  await page.goto(pathToFileURL(path).href);
  await page.waitForSelector('html[data-ready]');
  await work(page);
  await context.close();
  assert.deepEqual(noise, []);
}

// Reach an element by Tab alone.
async function tabTo(page, selector) {
  for (let k = 0; k < 120; k++) {
    await page.keyboard.press('Tab');
    if (await page.evaluate(one => document.activeElement.matches(one), selector)) return;
  }
  assert.fail(`Tab does not reach ${selector}`);
}

// The address has changed; the page follows in an event of its own.
const shown = (page, station) => page.waitForFunction(
  id => document.querySelector(`nav a[href="#${id}"]`).getAttribute('aria-current') === 'step', station);

async function answer(page, station) {
  await page.evaluate(id => { location.hash = id; }, station);
  await shown(page, station);
  const choice = page.locator('#question .choices button').first();
  if (await choice.count()) await choice.click();
}

// Nothing is wider than the screen, no text of a field, a table or a picture is cut.
const cut = page => page.evaluate(() => {
  const wide = [...document.querySelectorAll('body *')].filter(one => {
    const box = one.getBoundingClientRect();
    const hidden = one.closest('.scroll, details:not([open]) > :not(summary), .skip') || !box.width;
    return !hidden && (box.right > innerWidth + 1 || box.left < -1);
  });
  const fields = [...document.querySelectorAll('.lines input')].filter(one => one.scrollWidth > one.clientWidth);
  return [...wide, ...fields].map(one => `${one.tagName} ${one.id} ${one.className} ${one.value ?? one.textContent}`.slice(0, 80));
});

const violations = async page => {
  await page.evaluate(AXE);
  const {violations: found} = await page.evaluate('axe.run()');
  return found.map(({id, nodes}) => `${id}: ${nodes.slice(0, 3).map(node => node.html.slice(0, 120)).join(' | ')}`);
};

for (const [name, options] of Object.entries(SCREENS)) {
  test(`${name}: every station by keyboard; nothing cut, no axe violation`, () => opened(options, async page => {
    await page.evaluate(AXE);
    for (const station of STATIONS) {
      await page.locator('h1').click();
      await tabTo(page, `nav a[href="#${station}"]`);
      await page.keyboard.press('Enter');
      await shown(page, station);
      assert.equal(await page.locator('#picture').evaluate(one => one.children.length), 0, 'the question comes first');
      assert.deepEqual(await violations(page), [], `${station}, its question`);
      await tabTo(page, '#question .choices button');
      await page.keyboard.press('Enter');
      await page.waitForSelector('#picture > *');
      assert.match(await page.textContent('#question'), /\.$/);
      const details = await page.locator('#picture details').count();
      for (let k = 0; k < details; k++) await page.locator('#picture summary').nth(k).click();
      assert.deepEqual(await violations(page), [], station);
      assert.deepEqual(await cut(page), [], station);
      const pictures = await page.locator('#picture svg, #picture canvas').evaluateAll(all => all.map(one => one.getAttribute('aria-label')));
      assert.ok(pictures.every(Boolean) && (pictures.length || station === 'back'), 'each picture has its sentence');
    }
  }));
}

test('no sentence of any station and cell holds a number that is none', () => opened(SCREENS['wide and light'], async page => {
  for (const model of ['0', '1', '2']) {
    await page.selectOption('#model', model);
    for (const station of STATIONS) {
      await answer(page, station);
      assert.doesNotMatch(await page.locator('#station').innerText(), /NaN|undefined|null|false|true|\[object|: –|is –/, station);
    }
  }
}));

for (const [place, kind] of ['LSTM', 'GRU', 'RNN'].entries()) {
  test(`${kind}: every mistake turns the check red, the right lines green`, () => opened(SCREENS['wide and light'], async page => {
    await page.selectOption('#model', String(place));
    await answer(page, 'break');
    const mistakes = await page.locator('#mistake option').evaluateAll(all => all.map(one => one.value));
    assert.ok(mistakes.length > 10);
    for (const value of mistakes) {
      await page.selectOption('#mistake', value);
      assert.match(await page.textContent('#verdict'), value === '-1' ? /^Green/ : /^Red/, value);
    }
    await page.getByText('Empty all lines').click();
    assert.match(await page.textContent('#verdict'), /^Red/);
    const lines = JSON.parse(readFileSync(PAGE, 'utf8').match(/id="data">([^]*?)<\/script>/)[1]).cells[kind.toLowerCase()].backward;
    const fields = page.locator('.lines input');
    for (const [k, [, , line]] of lines.entries()) {
      await fields.nth(k).fill(line);
      assert.match(await page.locator('.lines tbody tr').nth(k).textContent(), /✓ right/, line);
    }
    assert.match(await page.textContent('#verdict'), /^Green/);
    for (const text of ['alert(1)', 'fetch("x")', '<img src=x onerror=alert(1)>', '((((', 'dh * nonsense', 'W', '1']) {
      await fields.first().fill(text);
      assert.match(await page.textContent('#verdict'), /^Red/, text);
    }
  }));
}

test('a change is announced, leaves a ghost, and can be undone', () => opened(SCREENS['wide and light'], async page => {
  await answer(page, 'read');
  const p = await page.textContent('#answer b');
  await page.getByText('Strike out this word').click();
  await page.waitForFunction(() => /struck out: p\(positive\) 0\.\d+, was 0\.\d+/.test(document.getElementById('said').textContent));
  assert.equal(await page.locator('#picture .ghost').count(), 2);
  assert.equal(await page.locator('#words .struck').count(), 1);
  assert.match(await page.textContent('#answer'), new RegExp(`was ${p}`));
  await page.locator('#controls').getByText('Undo').click();
  assert.equal(await page.textContent('#answer b'), p);
  assert.equal(await page.locator('#picture .ghost').count(), 0);
  await answer(page, 'change');
  await page.selectOption('#controls select >> nth=1', {index: 1});
  assert.match(await page.textContent('#changed'), /held at 0/);
  assert.match(await page.textContent('figcaption'), /p\(positive\) (rises|falls|stays)/);
  await page.click('#check');
  assert.match(await page.textContent('#checked'), /The gradient is right/);
}));

test('the address goes back and forward', () => opened(SCREENS['wide and light'], async page => {
  const title = () => page.textContent('#station-title');
  await page.click('nav a[href="#time"]');
  await page.click('nav a[href="#break"]');
  assert.match(await title(), /Break/);
  await page.goBack();
  assert.match(await title(), /Through time/);
  await page.goForward();
  assert.match(await title(), /Break/);
  await page.focus('#step');
  await page.keyboard.press('Home');
  await page.keyboard.press('ArrowRight');
  assert.match(await page.textContent('#step-word'), /^2 of/);
  assert.match(page.url(), /#break\/2$/);
}));

test('what is open stays open', () => opened(SCREENS['wide and light'], async page => {
  await answer(page, 'forward');
  await page.locator('#picture summary').first().click();
  const open = () => page.locator('#picture details[open] table').count();
  await page.focus('#step');
  await page.keyboard.press('ArrowRight');
  await page.waitForFunction(() => document.querySelector('#picture details[open] table'));
  await tabTo(page, '.ledger button');
  const marks = await page.locator('.marked').evaluateAll(all => all.map(one => one.tagName));
  assert.deepEqual(marks.sort(), ['SPAN', 'TR', 'g'], 'a symbol is marked in ledger, picture and sentence');
  const kept = await page.locator('#picture table').first().elementHandle();
  await page.setViewportSize({width: 1280, height: 700});        // as a phone's address bar does
  await page.waitForTimeout(100);
  assert.ok(await kept.evaluate(one => one.isConnected));
  await page.setViewportSize({width: 700, height: 700});
  await page.waitForFunction(() => document.querySelector('#picture details[open] table'));
  assert.equal(await open(), 1);
  assert.equal(await page.locator('.marked').count(), 3);
}));

test('odd texts do nothing bad', () => opened(SCREENS['phone and dark'], async page => {
  for (const station of STATIONS) await answer(page, station);
  const texts = ['🎬👍🏽 good 🎬', 'film '.repeat(10000), '', '   !!! ', '<script>alert(1)</script><img src=x onerror=alert(1)>', 'فيلم رائع film שלום',
                 'a', '\u0000\u200b\ud800 film', '__proto__ constructor toString', 'film\nfilm\tfilm'];
  for (const text of texts) {
    await page.fill('#text', text);
    for (const station of STATIONS) {
      await answer(page, station);
      assert.deepEqual(await cut(page), [], `${station}: ${text.slice(0, 20)}`);
    }
    assert.match(await page.textContent('#answer'), /p\(positive\) = [01]\.\d{3}|no word to read/);
  }
  assert.equal(await page.locator('#words script, #words img').count(), 0);
  await page.fill('#text', 'A splendid, unheard-of film');
  assert.match(await page.textContent('#answer'), /words: 4 .*unknown to the model: unheard · not in this page, so left out: splendid$/);
}));

test('a page with one wrong number says so', async () => {
  const path = `${PAGE}-wrong.html`;
  writeFileSync(path, readFileSync(PAGE, 'utf8').replace(/"fixtures":\[\{"review":0,"p":0/, '"fixtures":[{"review":0,"p":1'));
  await opened(SCREENS['wide and light'], async page => {
    assert.equal(await page.getAttribute('#trust', 'class'), 'banner');
    assert.match(await page.textContent('#trust'), /Do not trust this page/);
  }, path);
});

test('on paper the controls are gone', () => opened(SCREENS['wide and dark'], async page => {
  await answer(page, 'time');
  await page.emulateMedia({media: 'print'});
  assert.equal(await page.locator('nav').isVisible(), false);
  assert.equal(await page.locator('#picture svg').isVisible(), true);
  assert.equal(await page.evaluate(() => getComputedStyle(document.body).backgroundColor), 'rgb(255, 255, 255)');
}));
