// The three pictures of examples/README.md: node tests/explorer/pictures.mjs PAGE BROWSER benchmarks/figures
// With 64 colours they take a third: python -c "import sys; from PIL import Image
// for name in sys.argv[1:]: Image.open(name).convert('RGB').quantize(64).save(name, optimize=True)" FILES

import {pathToFileURL} from 'node:url';
import {chromium} from 'playwright-core';

const [path, executablePath, folder] = process.argv.slice(2);
const browser = await chromium.launch({executablePath, args: ['--no-sandbox', '--disable-gpu']});
const page = await browser.newPage({viewport: {width: 1080, height: 900}, colorScheme: 'light'});
await page.goto(pathToFileURL(path).href);
await page.addStyleTag({content: '#station { padding: 1px 1rem } #said, #onward { display: none }'});

// One station, answered, at a word; `work` on it; its picture.
async function shoot(station, word, right, work) {
  await page.evaluate(hash => { location.hash = hash; }, `${station}/${word}`);
  await page.waitForFunction(one => document.querySelector(`nav a[href="#${one}"]`).getAttribute('aria-current') === 'step', station);
  await page.locator('#question .choices button').filter({hasText: right}).click();
  await work();
  await page.locator('#station').screenshot({path: `${folder}/explorer-${station}.png`});
}

await shoot('forward', 25, 'the past', async () => {
  await page.locator('.ledger button').first().focus();
  await page.locator('#picture summary').first().click();
});
await shoot('break', 25, 'those of f', async () => {
  await page.selectOption('#mistake', {label: 'cₜ for cₜ₋₁'});
  await page.locator('#controls select').nth(1).selectOption('1');
});
await shoot('read', 9, 'terrible', () => page.getByText('Strike out this word').click());
await browser.close();
