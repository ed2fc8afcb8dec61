// Writes what was measured into a page, between `<!-- name -->` and the next such mark or the end.

import { readFileSync, writeFileSync } from 'node:fs';

export function writeSection(page, name, text) {
  const mark = `<!-- ${name} -->`;
  const [before, after] = readFileSync(page, 'utf8').split(mark);
  if (after === undefined) throw new Error(`${page} has no ${mark}`);
  const next = after.indexOf('<!-- ');
  const rest = next < 0 ? '' : `\n${after.slice(next)}`;
  writeFileSync(page, `${before}${mark}\n${text}\n${rest}`);
}
