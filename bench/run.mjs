// What the gateway costs, measured side by side on one machine, in one run.
//
//   node bench/run.mjs [--quick] [--rounds 8] [--seconds 2] [--connections 64] [--only 'pingora|session']
//                      [--write docs/performance.md]
//
// Contestants take turns in every round, so that a slow minute hits all of them. Each is loaded by
// wrk through loopback; CPU seconds and memory are read from /proc, of all processes that a
// contestant has. Compared are paired ratios to the minimal pingora proxy of
// bench/minimal_proxy.rs, which has the same build profile and is measured again after every second
// contestant: each is compared with what it did shortly before and shortly after. Told are the median
// of the rounds, with the smallest and largest.

import { execFileSync } from 'node:child_process';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { aims } from './aims.mjs';
import { YARDSTICK, startAll } from './contestants.mjs';
import { commandsOf, spentBetween } from './redis_commands.mjs';
import { conclude, cpuSeconds, memory } from './processes.mjs';
import { spread, writeSection } from './report.mjs';

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    seconds: { type: 'string' },
    connections: { type: 'string', default: '64' },
    only: { type: 'string', default: '' },
    write: { type: 'string' },
    target: { type: 'string', default: process.env.CARGO_TARGET_DIR ?? 'target' },
  },
});
const ROUNDS = Number(options.rounds ?? (options.quick ? 2 : 8));
const SECONDS = Number(options.seconds ?? (options.quick ? 1 : 2));

function milliseconds(text) {
  const [, number, unit] = text.match(/([\d.]+)(us|ms|s)/);
  return Number(number) * { us: 0.001, ms: 1, s: 1000 }[unit];
}

function load({ url, pid, headers = [], redis }) {
  const [cpu, commands] = [pid ? cpuSeconds(pid) : NaN, redis && commandsOf(redis)];
  const args = ['-t1', `-c${options.connections}`, `-d${SECONDS}s`, '--latency'];
  for (const header of headers) args.push('-H', header);
  const told = execFileSync('wrk', [...args, url], { encoding: 'utf8' });
  if (/Non-2xx/.test(told)) throw new Error(`${url} answered something else than 200:\n${told}`);
  const requests = Number(told.match(/(\d+) requests in/)[1]);
  return {
    requests,
    rate: Number(told.match(/Requests\/sec:\s+([\d.]+)/)[1]),
    p50: milliseconds(told.match(/^\s+50%\s+(\S+)/m)[1]),
    p99: milliseconds(told.match(/^\s+99%\s+(\S+)/m)[1]),
    cpu: pid ? ((cpuSeconds(pid) - cpu) / requests) * 1e5 : NaN,
    memory: pid ? memory(pid) : NaN,
    commands: redis && spentBetween(commands, commandsOf(redis)),
  };
}

const mean = (runs) => Object.fromEntries(
  ['rate', 'p50', 'p99', 'cpu', 'memory'].map((what) => [what, runs.reduce((sum, run) => sum + run[what], 0) / runs.length]),
);

/** One run of each; with each what the yardstick did beside it. */
function takeTurns(contestants, order) {
  const others = order.filter((name) => name !== YARDSTICK);
  const yardsticks = [load(contestants[YARDSTICK])];
  const results = {};
  for (let place = 0; place < others.length; place += 2) {
    const pair = others.slice(place, place + 2);
    for (const name of pair) results[name] = load(contestants[name]);
    yardsticks.push(load(contestants[YARDSTICK]));
    for (const name of pair) results[name].beside = mean(yardsticks.slice(-2));
  }
  const all = mean(yardsticks);
  results[YARDSTICK] = { ...all, beside: all };
  return results;
}

function table(names, rounds) {
  const lines = [
    '| contestant | req/s | of minimal | CPU s per 100k | of minimal | p50 ms | p99 ms | MiB |',
    '|---|---|---|---|---|---|---|---|',
  ];
  for (const name of names) {
    const own = (what, digits) => spread(rounds.map((round) => round[name][what]), digits);
    const against = (what) => spread(rounds.map((round) => round[name][what] / round[name].beside[what]), 2);
    lines.push(`| ${[name, own('rate', 0), against('rate'), own('cpu', 2), against('cpu'), own('p50', 2), own('p99', 2),
      own('memory', 0)].join(' | ')} |`);
  }
  return lines.join('\n');
}

// What Redis was asked while the gateway that uses it was under load.
function storeCommands(names, rounds) {
  return names.filter((name) => rounds[0][name].commands).map((name) => {
    const counts = new Map();
    for (const round of rounds) {
      for (const [command, calls] of round[name].commands) counts.set(command, (counts.get(command) ?? 0) + calls);
    }
    const requests = rounds.reduce((sum, round) => sum + round[name].requests, 0);
    const asked = [...counts].map(([command, calls]) => `${calls} \`${command}\``).join(', ') || 'nothing';
    return `- ${name}: ${requests} requests; Redis was asked ${asked}.`;
  }).join('\n');
}

async function main() {
  const wanted = (name) => [YARDSTICK, 'upstream alone'].includes(name) || new RegExp(options.only).test(name);
  const contestants = await startAll({ target: options.target, wanted });
  const names = Object.keys(contestants);
  const rounds = [];
  for (let number = 1; number <= ROUNDS; number += 1) {
    const results = takeTurns(contestants, number % 2 ? names : [...names].reverse());
    rounds.push(results);
    console.error(`round ${number} of ${ROUNDS}: ` +
      names.map((name) => `${name} ${results[name].rate.toFixed(0)}`).join(', '));
  }
  const about = `${ROUNDS} rounds of ${SECONDS} s, ${options.connections} connections, ` +
    `${cpus().length} cores (${cpus()[0].model}); median (smallest-largest).`;
  const commands = `\`INFO commandstats\` before and after:\n\n${storeCommands(names, rounds)}`;
  const report = [about, table(names, rounds), aims(rounds), commands].join('\n\n');
  console.log(report);
  if (options.write) writeSection(options.write, 'measured', report);
}

await conclude(main);
