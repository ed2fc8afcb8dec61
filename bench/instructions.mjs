// How many instructions a request costs, counted by valgrind's callgrind.
//
//   node bench/instructions.mjs [--requests 2000] [--write docs/performance.md] [--keep FOLDER]
//
// Counts do not wobble with the machine's load, so they tell small changes apart that req/s do
// not. What the kernel does for a request is not in them. With --keep the profiles stay, for
// callgrind_annotate.

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { startAll } from './contestants.mjs';
import { stop } from './processes.mjs';
import { writeSection } from './report.mjs';

const { values: options } = parseArgs({
  options: {
    requests: { type: 'string', default: '2000' },
    write: { type: 'string' },
    keep: { type: 'string' },
    target: { type: 'string', default: process.env.CARGO_TARGET_DIR ?? 'target' },
  },
});
const REQUESTS = Number(options.requests);
const profiles = options.keep ? resolve(options.keep) : mkdtempSync(join(tmpdir(), 'vestibule-callgrind-'));
mkdirSync(profiles, { recursive: true });

const agent = new Agent({ keepAlive: true, maxSockets: 1 });

function ask({ url, headers = [] }) {
  const fields = Object.fromEntries(headers.map((field) => field.split(/: (.*)/s)));
  return new Promise((answered, failed) => {
    const asking = request(url, { agent, headers: fields }, (response) => {
      response.resume().on('end', () => answered(response.statusCode));
    });
    asking.on('error', failed).end();
  });
}

async function times(count, contestant) {
  for (let done = 0; done < count; done += 1) {
    const status = await ask(contestant);
    if (status !== 200) throw new Error(`${contestant.url} answered ${status}`);
  }
}

const control = (...args) => execFileSync('callgrind_control', args, { stdio: 'ignore' });

const dumpsOf = (pid) => readdirSync(profiles).filter((name) => name.startsWith(`callgrind.${pid}.`));

async function count(contestant) {
  await times(50, contestant);
  const before = dumpsOf(contestant.pid);
  control('-i', 'on', String(contestant.pid));
  await times(REQUESTS, contestant);
  control('-d', String(contestant.pid));
  control('-i', 'off', String(contestant.pid));
  const dumps = dumpsOf(contestant.pid).filter((name) => !before.includes(name));
  const totals = dumps.flatMap((name) => readFileSync(join(profiles, name), 'utf8').match(/^totals: (\d+)/m)?.[1] ?? []);
  return totals.reduce((sum, total) => sum + Number(total), 0) / REQUESTS;
}

async function main() {
  const wrapper = ['valgrind', '--tool=callgrind', '--instr-atstart=no', '--fair-sched=yes',
    `--callgrind-out-file=${profiles}/callgrind.%p`];
  const wanted = (name) => /^(minimal|Vestibule)/.test(name);
  const contestants = Object.entries(await startAll({ target: options.target, wrapper, wanted }));
  const counted = [];
  for (const [name, contestant] of contestants) {
    counted.push([name, await count(contestant)]);
    console.error(`${name}: ${counted.at(-1)[1].toFixed(0)} (process ${contestant.pid})`);
  }
  const [, yardstick] = counted.find(([name]) => name === 'minimal pingora');
  const lines = counted.map(([name, each]) => `| ${name} | ${each.toFixed(0)} | ${(each / yardstick).toFixed(2)} |`);
  const report = ['| contestant | instructions a request | of minimal |', '|---|---|---|', ...lines].join('\n');
  console.log(report);
  if (options.write) writeSection(options.write, 'instructions', report);
}

try {
  await main();
} finally {
  stop();
  if (!options.keep) rmSync(profiles, { recursive: true, force: true });
}
process.exit(0);
