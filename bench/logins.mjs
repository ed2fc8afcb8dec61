// How many full logins a second the gateway takes: everybody comes at once and is a known user.
//
//   node bench/logins.mjs [--quick] [--seconds 10] [--at-once 32] [--write docs/performance.md]
//
// A login is what a browser does: the page that is asked for, the login page, the trip to a provider
// (bench/fast_provider.mjs), the way back, and the page. Gateway, provider, browsers and upstream
// share the machine, so what each of them uses of it is told.

import { mkdtempSync, rmSync } from 'node:fs';
import { Agent } from 'node:http';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { startUpstream } from './contestants.mjs';
import { startFastProvider, startGateway, startRedis } from './gateways.mjs';
import { conclude, cpuSeconds } from './processes.mjs';
import { percentile, writeSection } from './report.mjs';
import { signIn } from './sign_in.mjs';
import { attribute, exchange } from './visitor.mjs';

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    seconds: { type: 'string' },
    'at-once': { type: 'string', default: '32' },
    write: { type: 'string' },
    target: { type: 'string', default: process.env.CARGO_TARGET_DIR ?? 'target' },
  },
});
const SECONDS = Number(options.seconds ?? (options.quick ? 3 : 10));
const AT_ONCE = Number(options['at-once']);

/** Logins are not slowed, nor are the registrations before them. */
const LIMITS = '[apply]\nlogin = "none"\n[abuse.form]\nnetwork = []\n';
const PEOPLE = 40;

const agent = new Agent({ keepAlive: true, maxSockets: 2 * AT_ONCE });

/** A browser that goes through one login; throws where that does not end at the page. It comes through
 * a proxy that says who it is: what one network may have under way is bounded. */
async function logIn(origin, login, number) {
  const from = { 'x-forwarded-for': `192.0.2.${number}` };
  const cookies = new Map();
  const go = async (address, wanted) => {
    const isOurs = address.startsWith(origin);
    const cookie = isOurs && [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const answer = await exchange(address, { agent, headers: { ...from, ...(cookie && { cookie }) } });
    if (answer.status !== wanted) throw new Error(`${address}: ${answer.status} ${answer.text.slice(0, 500)}`);
    for (const line of isOurs ? answer.headers['set-cookie'] ?? [] : []) {
      const [, name, value] = line.match(/^([^=]+)=([^;]*)/);
      if (value === '') cookies.delete(name);
      else cookies.set(name, value);
    }
    return answer;
  };
  const follow = (answer, from) => new URL(answer.headers.location, from).href;
  const loginPage = follow(await go(`${origin}/app`, 303), origin);
  const page = await go(loginPage, 200);
  const [, refresh] = page.text.match(/http-equiv="refresh"\s+content="\d+;\s*url=([^"]*)"/i);
  const trip = follow(await go(new URL(attribute(` to="${refresh}"`, 'to'), origin).href, 303), origin);
  const back = (await go(`${trip}&login=${login}`, 303)).headers.location;
  let answer = await go(back, 303);
  let here = follow(answer, origin);
  while (here !== `${origin}/app`) {
    answer = await go(here, 303);
    here = follow(answer, origin);
  }
  await go(here, 200);
}

async function storm(origin, people) {
  const times = [];
  const until = Date.now() + SECONDS * 1000;
  const browser = async (number) => {
    for (let turn = number; Date.now() < until; turn += AT_ONCE) {
      const began = performance.now();
      await logIn(origin, people[turn % people.length], number);
      times.push(performance.now() - began);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, (_, number) => browser(number)));
  return times;
}

async function measure(name, { sessions, within }) {
  const [upstream, provider] = [await startUpstream(), await startFastProvider()];
  const how = { target: options.target, wrapper: [] };
  const gateway = await startGateway(how, name, { upstream, provider }, {
    within, sessions, limits: LIMITS, trusted: ['127.0.0.0/8'],
  });
  const people = Array.from({ length: PEOPLE }, (_, number) => `person-${number}`);
  await Promise.all(people.map((person) => signIn(`${gateway.origin}/app`, person)));
  const [before, other, own, began] = [cpuSeconds(gateway.pid), cpuSeconds(provider.pid), process.cpuUsage(), performance.now()];
  const times = await storm(gateway.origin, people);
  const seconds = (performance.now() - began) / 1000;
  const each = (used) => ((used / times.length) * 1000).toFixed(2);
  const { user, system } = process.cpuUsage(own);
  return [name, (times.length / seconds).toFixed(0), percentile(times, 50).toFixed(0), percentile(times, 99).toFixed(0),
    each(cpuSeconds(gateway.pid) - before), each(cpuSeconds(provider.pid) - other), each((user + system) / 1e6)];
}

await conclude(async () => {
  const rows = [await measure('SQLite', {}), await measure('SQLite, sessions in Redis', { sessions: await startRedis() })];
  // What the processors would allow, if the disk took no time.
  const within = mkdtempSync('/dev/shm/vestibule-bench-');
  try {
    rows.push(await measure('SQLite in memory', { within }));
  } finally {
    rmSync(within, { recursive: true });
  }
  const report = [
    `${SECONDS} s, ${AT_ONCE} browsers at once, ${PEOPLE} people; ${cpus().length} cores (${cpus()[0].model}).`, '',
    '| stores | logins a second | p50 ms | p99 ms | CPU ms a login: gateway | provider | browsers |',
    '|---|---|---|---|---|---|---|',
    ...rows.map((row) => `| ${row.join(' | ')} |`),
  ].join('\n');
  console.log(report);
  if (options.write) writeSection(options.write, 'logins', report);
});
