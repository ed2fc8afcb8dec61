// How many instructions the steps of a forwarded request take, one by one, counted by callgrind.
//
//   node bench/pieces.mjs [--write docs/performance.md]
//
// Each step of bench/pieces.rs is taken a few times, and many times more in another run: what the
// second run counted beyond the first is the steps alone.

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { conclude, folder } from './processes.mjs';
import { writeSection } from './report.mjs';

const FEW = 100;
const MANY = 1100;

const { values: options } = parseArgs({
  options: {
    write: { type: 'string' },
    target: { type: 'string', default: process.env.CARGO_TARGET_DIR ?? 'target' },
  },
});
const program = join(options.target, 'release/examples/pieces');

function instructions(name, times) {
  const counts = join(folder, 'counts');
  const args = ['--tool=callgrind', `--callgrind-out-file=${counts}`, program, name, String(times)];
  execFileSync('valgrind', args, { stdio: 'ignore' });
  return Number(readFileSync(counts, 'utf8').match(/^totals: (\d+)/m)[1]);
}

await conclude(() => {
  const names = execFileSync(program, { encoding: 'utf8' }).trim().split('\n');
  const lines = names.map((name) => {
    const each = (instructions(name, MANY) - instructions(name, FEW)) / (MANY - FEW);
    return `| ${name} | ${each.toFixed(0)} |`;
  });
  const report = ['| step | instructions |', '|---|---|', ...lines].join('\n');
  console.log(report);
  if (options.write) writeSection(options.write, 'pieces', report);
});
