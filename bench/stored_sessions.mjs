// What sessions take: a million of them in Redis, and in a gateway's memory those that it has seen.
//
//   node bench/stored_sessions.mjs [--quick] [--count 1000000] [--seen 100000] [--write docs/performance.md]
//
// bench/stored_sessions.rs makes them, as logins do, in a Redis that a gateway uses. Then the first
// ones ask the gateway, each for the first time and once more.

import { execFileSync } from 'node:child_process';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startUpstream } from './contestants.mjs';
import { startGateway, startProvider, startRedis } from './gateways.mjs';
import { conclude, folder, memory } from './processes.mjs';
import { commandsOf, spentBetween } from './redis_commands.mjs';
import { percentile, writeSection } from './report.mjs';

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    count: { type: 'string' },
    seen: { type: 'string' },
    write: { type: 'string' },
    target: { type: 'string', default: process.env.CARGO_TARGET_DIR ?? 'target' },
  },
});
const COUNT = Number(options.count ?? (options.quick ? 100_000 : 1_000_000));
const SEEN = Math.min(COUNT, Number(options.seen ?? (options.quick ? 20_000 : 100_000)));
const AT_ONCE = 32;
const COOKIE = '__Host-vestibule';
const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });

/** Octets that a Redis has in use. */
function sizeOf(redis) {
  const told = execFileSync('redis-cli', ['-p', String(redis), 'info', 'memory'], { encoding: 'utf8' });
  return Number(told.match(/^used_memory:(\d+)/m)[1]);
}

/** How long a request with this cookie takes, milliseconds. */
function ask(origin, cookie) {
  const { hostname, port, host } = new URL(origin);
  const began = performance.now();
  return new Promise((answered, failed) => {
    const address = { host: hostname === 'localhost' ? '127.0.0.1' : hostname, port, path: '/app' };
    const asking = request({ ...address, agent, headers: { host, cookie: `${COOKIE}=${cookie}` } }, (response) => {
      if (response.statusCode !== 200) failed(new Error(`a session is not taken: ${response.statusCode}`));
      response.on('end', () => answered(performance.now() - began)).resume();
    });
    asking.on('error', failed).end();
  });
}

/** All of these once; gives how long each took. */
async function askAll(origin, cookies) {
  const left = cookies.values();
  const times = [];
  const worker = async () => {
    for (const cookie of left) times.push(await ask(origin, cookie));
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return times;
}

await conclude(async () => {
  const redis = await startRedis();
  const around = { upstream: await startUpstream(), provider: await startProvider() };
  const { origin, pid } = await startGateway({ target: options.target, wrapper: [] }, 'stored', around, { sessions: redis });
  const empty = sizeOf(redis);
  const began = performance.now();
  const made = execFileSync(join(options.target, 'release/examples/stored_sessions'), [
    `redis://127.0.0.1:${redis}`, join(folder, 'stored/seal.key'), new URL(origin).hostname, String(COUNT), String(SEEN),
  ], { encoding: 'utf8', maxBuffer: 1 << 30 });
  const seconds = (performance.now() - began) / 1000;
  const each = (sizeOf(redis) - empty) / COUNT;
  const cookies = made.trim().split('\n');

  // What comes with the first requests of anybody is not the sessions'.
  await askAll(origin, cookies.slice(0, 100));
  const [before, asked] = [memory(pid), commandsOf(redis)];
  const first = await askAll(origin, cookies.slice(100));
  const spent = spentBetween(asked, commandsOf(redis));
  const again = await askAll(origin, cookies.slice(100));
  const kept = ((memory(pid) - before) * 1024) / (SEEN - 100);
  const store = [...spent].filter(([command]) => command !== 'ping').map(([command, calls]) => (
    `${(calls / first.length).toFixed(2)} \`${command}\``));
  const number = (value) => value.toLocaleString('en');
  const report = [
    '| what | figure |', '|---|---|',
    `| sessions in Redis, each of somebody else | ${number(COUNT)} |`,
    `| made in, seconds | ${seconds.toFixed(0)} (${number(Math.round(COUNT / seconds))} a second) |`,
    `| Redis memory of each, with its sealed tokens and its index, octets | ${each.toFixed(0)} |`,
    `| first requests of ${number(first.length)} sessions, ms | p50 ${percentile(first, 50).toFixed(2)}, p99 ${percentile(first, 99).toFixed(2)} |`,
    `| store commands of each | ${store.join(', ')} |`,
    `| second requests of the same, ms | p50 ${percentile(again, 50).toFixed(2)}, p99 ${percentile(again, 99).toFixed(2)} |`,
    `| gateway memory (PSS) of each session that it has seen, KiB | ${kept.toFixed(2)} |`,
  ].join('\n');
  console.log(report);
  if (options.write) writeSection(options.write, 'sessions', report);
});
