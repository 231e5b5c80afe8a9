// How fast is a page? node tests/explorer/speed.mjs PAGE BROWSER: milliseconds, medians of 7, in a headless browser.

import {pathToFileURL} from 'node:url';
import {chromium} from 'playwright-core';

const [path, executablePath] = process.argv.slice(2);
const browser = await chromium.launch({executablePath, args: ['--no-sandbox', '--disable-gpu']});
const median = values => values.sort((a, b) => a - b)[values.length >> 1].toFixed(0);
const first = [], pass = [], edit = [];
for (let k = 0; k < 7; k++) {
  const page = await (await browser.newContext({offline: true, viewport: {width: 1280, height: 900}})).newPage();
  await page.goto(pathToFileURL(path).href);
  await page.waitForSelector('html[data-ready]');
  first.push(await page.evaluate(() => {                        // from the start of loading; then answer and draw
    const start = performance.now();
    document.querySelector('#question .choices button').click();
    document.querySelector('#picture').getBoundingClientRect();
    return Number(document.documentElement.dataset.ready) + performance.now() - start;
  }));
  const found = await page.evaluate(() => {
    const time = work => { const start = performance.now(); work(); return performance.now() - start; };
    const text = document.getElementById('text'), long = Array.from({length: 220}, (_, k) => 'the film was good and'.split(' ')[k % 5]);
    const type = words => { text.value = words; text.dispatchEvent(new Event('input')); document.body.getBoundingClientRect(); };
    type(long.join(' '));
    const passes = Array.from({length: 9}, () => time(() => backFrom(read(c.model, c.items), 1)));
    const edits = Array.from({length: 9}, (_, k) => time(() => type(long.with(100 + k, 'bad').join(' '))));
    const middle = list => list.sort((a, b) => a - b)[4];
    return {words: c.n, pass: middle(passes), edit: middle(edits), best: Math.min(...passes)};
  });
  pass.push(found.pass), edit.push(found.edit);
  await page.context().close();
}
console.log(`first picture ${median(first)}, forward and backward of 200 words ${median(pass)}, an edit drawn ${median(edit)}`);
await browser.close();
