// What the gateway costs, measured side by side on one machine, in one run.
//
//   node bench/run.mjs [--rounds 10] [--seconds 5] [--connections 64] [--write docs/performance.md]
//
// Contestants take turns in every round, so that a slow minute hits all of them. Each is loaded by
// wrk through loopback; CPU seconds are read from /proc. Compared are paired ratios to the minimal
// pingora proxy of bench/minimal_proxy.rs, which has the same build profile: the median of the
// rounds, with the smallest and largest.

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { conclude, startAll } from './contestants.mjs';
import { writeSection } from './report.mjs';

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '10' },
    seconds: { type: 'string', default: '5' },
    connections: { type: 'string', default: '64' },
    write: { type: 'string' },
    target: { type: 'string', default: process.env.CARGO_TARGET_DIR ?? 'target' },
  },
});
const ROUNDS = Number(options.rounds);

function cpuSeconds(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

function milliseconds(text) {
  const [, number, unit] = text.match(/([\d.]+)(us|ms|s)/);
  return Number(number) * { us: 0.001, ms: 1, s: 1000 }[unit];
}

function load({ url, pid, headers = [] }) {
  const before = pid ? cpuSeconds(pid) : 0;
  const args = ['-t1', `-c${options.connections}`, `-d${options.seconds}s`, '--latency'];
  for (const header of headers) args.push('-H', header);
  const told = execFileSync('wrk', [...args, url], { encoding: 'utf8' });
  const requests = Number(told.match(/(\d+) requests in/)[1]);
  if (/Non-2xx/.test(told)) throw new Error(`${url} answered something else than 200:\n${told}`);
  return {
    rate: Number(told.match(/Requests\/sec:\s+([\d.]+)/)[1]),
    p50: milliseconds(told.match(/^\s+50%\s+(\S+)/m)[1]),
    p99: milliseconds(told.match(/^\s+99%\s+(\S+)/m)[1]),
    cpu: pid ? ((cpuSeconds(pid) - before) / requests) * 1e5 : NaN,
  };
}

const sorted = (numbers) => [...numbers].sort((a, b) => a - b);
const median = (numbers) => {
  const all = sorted(numbers);
  const middle = all.length >> 1;
  return all.length % 2 ? all[middle] : (all[middle - 1] + all[middle]) / 2;
};
const spread = (numbers, digits) => {
  const all = sorted(numbers);
  if (all.some(Number.isNaN)) return '-';
  return `${median(all).toFixed(digits)} (${all[0].toFixed(digits)}-${all.at(-1).toFixed(digits)})`;
};

function table(names, rounds) {
  const lines = [
    '| contestant | req/s | of minimal | CPU s per 100k | of minimal | p50 ms | p99 ms |',
    '|---|---|---|---|---|---|---|',
  ];
  for (const name of names) {
    const own = rounds.map((round) => round[name]);
    const against = (what) => rounds.map((round) => round[name][what] / round['minimal pingora'][what]);
    const of = (what, digits) => spread(own.map((one) => one[what]), digits);
    lines.push(`| ${[name, of('rate', 0), spread(against('rate'), 2), of('cpu', 2), spread(against('cpu'), 2),
      of('p50', 2), of('p99', 2)].join(' | ')} |`);
  }
  return lines.join('\n');
}

async function main() {
  const contestants = await startAll({ target: options.target });
  const names = Object.keys(contestants);
  const rounds = [];
  for (let round = 1; round <= ROUNDS; round += 1) {
    const order = round % 2 ? names : [...names].reverse();
    const results = {};
    for (const name of order) results[name] = load(contestants[name]);
    rounds.push(results);
    console.error(`round ${round} of ${ROUNDS}: ` +
      names.map((name) => `${name} ${results[name].rate.toFixed(0)}`).join(', '));
  }
  const about = `${ROUNDS} rounds of ${options.seconds} s, ${options.connections} connections, ` +
    `${cpus().length} cores (${cpus()[0].model}); median (smallest-largest).`;
  const report = `${about}\n\n${table(names, rounds)}`;
  console.log(report);
  if (options.write) writeSection(options.write, 'measured', report);
}

await conclude(main);
