// Puts figures into words, and writes what was measured into a page, between `<!-- name -->` and the
// next such mark or the end.

import { readFileSync, writeFileSync } from 'node:fs';

const sorted = (numbers) => [...numbers].sort((a, b) => a - b);

export function median(numbers) {
  const all = sorted(numbers);
  const middle = all.length >> 1;
  return all.length % 2 ? all[middle] : (all[middle - 1] + all[middle]) / 2;
}

/** What so many percent do not exceed. */
export function percentile(numbers, percent) {
  const all = sorted(numbers);
  return all[Math.min(all.length - 1, Math.floor((all.length * percent) / 100))];
}

/** The median with the smallest and largest; a dash where something was not measured. */
export function spread(numbers, digits) {
  const all = sorted(numbers);
  if (all.some(Number.isNaN)) return '-';
  return `${median(all).toFixed(digits)} (${all[0].toFixed(digits)}-${all.at(-1).toFixed(digits)})`;
}

export function writeSection(page, name, text) {
  const mark = `<!-- ${name} -->`;
  const [before, after] = readFileSync(page, 'utf8').split(mark);
  if (after === undefined) throw new Error(`${page} has no ${mark}`);
  const next = after.indexOf('<!-- ');
  const rest = next < 0 ? '' : `\n${after.slice(next)}`;
  writeFileSync(page, `${before}${mark}\n${text}\n${rest}`);
}
