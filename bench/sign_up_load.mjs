// Sign-ups under attack: robots ask for 10,000 registration links at once, from one network and from
// many, while honest people register to the end. Shows that limits hold, that memory does not grow,
// and how long the honest wait. Ends with 1 where a limit does not hold, memory grows with the
// attempts, or somebody does not get through.
//
//   node bench/sign_up_load.mjs [--attempts 10000] [--program …/vestibule] [--write docs/performance.md]
//
// Robots that find no proof of work meet the limits for browsers without a check; in the last flood
// they are thought to have found it, so that what is left are the limits of `[abuse]`.

import { createHash } from 'node:crypto';
import { cpus } from 'node:os';
import { setTimeout as later } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { conclude } from './processes.mjs';
import { percentile, writeSection } from './report.mjs';
import { programIn, startStage } from './sign_up_stage.mjs';
import { Visitor, attribute } from './visitor.mjs';

const { values: options } = parseArgs({
  options: {
    attempts: { type: 'string', default: '10000' },
    connections: { type: 'string', default: '32' },
    program: { type: 'string' },
    target: { type: 'string', default: process.env.CARGO_TARGET_DIR ?? 'target' },
    write: { type: 'string' },
  },
});
const ATTEMPTS = Number(options.attempts);
// How often people who are asked to wait try again.
const PATIENCE = 30;
// MiB that the second half of a flood may add to the first.
const GROWTH = 8;
const PASSWORD = 'violet tractor umbrella';
// As shipped: `[abuse.mail]` in policies/limits.toml, and letters without a check of the browser.
const PER_NETWORK = { at_once: 10, an_hour: 600 };
const IN_ALL = { at_once: 300, an_hour: 18000 };
const UNCHECKED = { per_network: 5, in_all: 200 };

const FLOODS = [
  { name: 'one network', networks: 'one', captcha: 'proof-of-work', most: () => UNCHECKED.per_network },
  { name: 'as many networks', networks: 'many', captcha: 'proof-of-work', most: () => UNCHECKED.in_all },
  { name: 'one network, check passed', networks: 'one', captcha: 'none', most: (s) => refilled(PER_NETWORK, s) },
  { name: 'as many networks, check passed', networks: 'many', captcha: 'none', most: (s) => refilled(IN_ALL, s) },
];

const refilled = ({ at_once, an_hour }, seconds) => at_once + Math.ceil((an_hour * seconds) / 3600);
const told = (numbers) => numbers.length
  ? `${percentile(numbers, 50).toFixed(0)} / ${percentile(numbers, 95).toFixed(0)}` : '-';

/** Finds the number that the page asks for, as its script does. */
function work(page) {
  const input = page.match(/<input[^>]*data-work="[^>]*>/)?.[0];
  if (!input) return {};
  const [salt, target] = [attribute(input, 'data-work'), attribute(input, 'data-target')];
  for (let number = 0; ; number += 1) {
    const digest = createHash('sha256').update(`${salt}:${number}`).digest('base64url');
    if (digest === target) return { captcha: String(number) };
  }
}

async function waitFor(what, look) {
  for (let tries = 0; tries < 600; tries += 1) {
    const found = look();
    if (found) return found;
    await later(50);
  }
  throw new Error(`${what} does not come`);
}

/** One person registers, from the login page to the upstream; gives milliseconds for each part. */
async function register(stage, n) {
  const visitor = new Visitor(n % 2 ? `198.51.100.${n % 256}` : `2001:db8:ffff:${n.toString(16)}::7`);
  const address = `person${n}@home${n}.example`;
  const began = performance.now();
  const since = () => performance.now() - began;
  await visitor.open(`${stage.origin}/auth/register/email`);
  const asked = performance.now();
  // Whoever is asked to wait does so, and sends the form again.
  for (let tries = 0; ; tries += 1) {
    const answer = await visitor.send({ email: address, ...work(visitor.page.text) });
    if (answer.status === 303) break;
    if (tries === PATIENCE) return { left: true };
    await later(1000 * Number(answer.headers['retry-after'] ?? 1));
  }
  const ask = performance.now() - asked;
  const to = (letter) => letter.to.includes(address);
  const letter = await waitFor(`the letter to ${address}`, () => stage.mailbox.letters.find(to));
  const mail = since();
  await visitor.open(letter.text.match(/http\S+token=\S+/)[0]);
  await visitor.send();
  while (await visitor.goOn());
  await visitor.send({ account_type: 'personal', name: 'Person', password: PASSWORD });
  if (visitor.page.status !== 303) throw new Error(`${visitor.page.status}:\n${visitor.page.text}`);
  while (await visitor.goOn());
  if (visitor.page.text !== 'hello') throw new Error(`${visitor.here}:\n${visitor.page.text}`);
  return { ask, mail, all: since() };
}

async function flood(stage, { networks }, progress) {
  const workerData = { origin: stage.origin, attempts: ATTEMPTS, connections: Number(options.connections), networks };
  const worker = new Worker(new URL('./flood.mjs', import.meta.url), { workerData });
  return new Promise((ended, failed) => {
    worker.on('message', (message) => (message.statuses ? ended(message) : progress(message)));
    worker.on('error', failed);
  });
}

/** Honest people arrive one after the other until `over` says so. */
async function people(stage, first, over) {
  const all = [];
  for (let n = first; !over(); n += 1) {
    all.push(register(stage, n));
    await later(500);
  }
  return Promise.all(all);
}

async function measure(scene, number) {
  const stage = await startStage({
    program: options.program ?? programIn(options.target), name: `stage-${number}`, captcha: scene.captcha,
  });
  const ended = (began) => () => performance.now() - began > 5000;
  const quiet = await people(stage, 0, ended(performance.now()));
  const memory = [stage.memory()];
  let flooding = true;
  const began = performance.now();
  const meanwhile = people(stage, 1000, () => !flooding);
  const result = await flood(stage, scene, () => memory.push(stage.memory()));
  flooding = false;
  const during = await meanwhile;
  await stage.settles();
  const after = await people(stage, 30000, ended(performance.now()));
  memory.push(stage.memory());
  const robots = stage.mailbox.letters.filter((letter) => letter.to[0].endsWith('robots.example')).length;
  const most = scene.most((performance.now() - began) / 1000);
  return { scene, quiet, during, after, memory, robots, most, ...result };
}

function line({ scene, quiet, during, after, memory, robots, most, statuses, seconds }) {
  const through = (who) => who.filter((one) => one.all);
  const refused = Object.entries(statuses).map(([status, times]) => `${times} × ${status}`).join(', ');
  const meanwhile = memory.slice(1, -1);
  const mebibytes = [memory[0], Math.min(...meanwhile), Math.max(...meanwhile), memory.at(-1)];
  const honest = (who) => `${through(who).length} of ${who.length}: ${told(through(who).map((one) => one.ask))} · ` +
    told(through(who).map((one) => one.all));
  return `| ${[scene.name, `${(ATTEMPTS / seconds).toFixed(0)} / s: ${refused}`, `${robots} of ${most}`,
    '{0}, {1}–{2}, {3}'.replaceAll(/{(\d)}/g, (_, place) => mebibytes[place].toFixed(0)),
    honest(quiet), honest(during), honest(after)].join(' | ')} |`;
}

async function main() {
  const lines = [
    '| flood from | answers | letters to robots, of at most | MiB before, during, after ' +
      '| people before | people during | people after |',
    '|---|---|---|---|---|---|---|',
  ];
  let holds = true;
  for (const [number, scene] of FLOODS.entries()) {
    const measured = await measure(scene, number);
    lines.push(line(measured));
    console.error(lines.at(-1));
    const through = [...measured.during, ...measured.after].every((one) => one.all);
    // The least of each half: passwords that people choose take memory while they are hashed.
    const middle = measured.memory.length >> 1;
    const growth = Math.min(...measured.memory.slice(middle)) - Math.min(...measured.memory.slice(0, middle));
    holds &&= measured.robots <= measured.most && through && growth < GROWTH;
  }
  const about = `${ATTEMPTS} attempts over ${options.connections} connections in each flood; ` +
    `${cpus().length} cores (${cpus()[0].model}), shared by gateway, robots, people and mail server; ` +
    `${/release/.test(options.program ?? programIn(options.target)) ? 'release' : 'development'} build. ` +
    'People: how many got through to the upstream, then milliseconds, median / 95 %, of asking for the link · ' +
    'of the whole registration.';
  const report = `${about}\n\n${lines.join('\n')}`;
  console.log(report);
  if (options.write) writeSection(options.write, 'sign-ups', report);
  return holds ? 0 : 1;
}

await conclude(main);
