// The page's scripts, loaded into Node: they are classic scripts, made to be joined in one page.

import {readFileSync} from 'node:fs';

const folder = new URL('../../minilstm/lab/explorer/', import.meta.url);
const NAMES = ['Matrix', 'product', 'parse', 'compute', 'forward', 'backward', 'openModel', 'wordsOf', 'lookUp', 'read',
               'backFrom', 'lossOf', 'agreement', 'checkWeights', 'checkRule', 'largest', 'norm', 'alone', 'unpack', 'learn', 'changedModel'];

export function scripts() {
  const text = ['matrix', 'expression', 'cell', 'model', 'check'].map(
    name => readFileSync(new URL(`${name}.js`, folder), 'utf8')).join('\n');
  return new Function(`'use strict';\n${text}\nreturn {${NAMES}};`)();
}

export const dataOf = path =>
  JSON.parse(/<script type="application\/json"[^>]*>([^]*?)<\/script>/.exec(readFileSync(path, 'utf8'))[1]);
