// Whether time tells which addresses are known: asking for a registration link, for a new password,
// and signing in with a wrong password, each with known and unknown addresses in random order. Also
// measured is the request after it, which would feel what is done in the background for some only.
//
//   node bench/same_time.mjs [--samples 300] [--program …/vestibule] [--write docs/performance.md]
//
// Compared are medians and quantiles, and the rank sums (Mann-Whitney): p is how often chance alone
// would set them further apart. Ends with 1 where p is below 0.001 and the medians differ by more than 2 %.

import { setTimeout as later } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { conclude } from './processes.mjs';
import { percentile, writeSection } from './report.mjs';
import { programIn, startStage } from './sign_up_stage.mjs';
import { Visitor } from './visitor.mjs';

const { values: options } = parseArgs({
  options: {
    samples: { type: 'string', default: '300' },
    program: { type: 'string' },
    target: { type: 'string', default: process.env.CARGO_TARGET_DIR ?? 'target' },
    write: { type: 'string' },
  },
});
const SAMPLES = Number(options.samples);
const WARM_UP = 20;
const MUCH = '["100000/min"]';
// A password is tried ten times from a network for one account within a quarter of an hour.
const KNOWN = Math.ceil((2 * (SAMPLES + WARM_UP)) / 8);

const QUESTIONS = [
  { name: 'registration link', page: '/auth/register/email', fields: {}, status: 303 },
  { name: 'new password', page: '/auth/password', fields: {}, status: 303 },
  { name: 'wrong password', page: '/auth/login', fields: { password: 'not the right one' }, status: 422 },
];


/** Two-sided p of the Mann-Whitney test, by its normal approximation. */
function chance(some, others) {
  const all = [...some.map((value) => [value, 0]), ...others.map((value) => [value, 1])].sort((a, b) => a[0] - b[0]);
  const ranks = all.reduce((sum, [, group], place) => (group === 0 ? sum + place + 1 : sum), 0);
  const [n, m] = [some.length, others.length];
  const u = ranks - (n * (n + 1)) / 2;
  const z = Math.abs(u - (n * m) / 2) / Math.sqrt((n * m * (n + m + 1)) / 12);
  // Abramowitz and Stegun, 26.2.17.
  const t = 1 / (1 + 0.2316419 * z);
  const tail = t * (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
  return Math.min(1, (2 * tail * Math.exp((-z * z) / 2)) / Math.sqrt(2 * Math.PI));
}

async function people(stage) {
  const customer = await stage.makes('/platform/v1/customers', { account_type: 'business', name: 'Home' });
  for (let n = 0; n < KNOWN; n += 1) {
    await stage.makes('/platform/v1/users', {
      email: `known${n}@home.example`, name: 'Known', customer: customer.id, account_type: 'business',
      password: 'violet tractor umbrella',
    });
  }
}

/** Milliseconds of one question, and of the request after it. */
async function ask(stage, { page, fields, status }, n, email) {
  const visitor = new Visitor(`10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`);
  await visitor.request(`${stage.origin}${page}`);
  const began = performance.now();
  const answer = await visitor.send({ email, ...fields });
  const answered = performance.now();
  if (answer.status !== status) throw new Error(`${page} answered ${answer.status}:\n${answer.text}`);
  await visitor.request(`${stage.origin}/auth/login`);
  const next = performance.now();
  await later(20);
  return [answered - began, next - answered];
}

async function measure(stage, question, base) {
  const seen = { known: [[], []], unknown: [[], []] };
  for (let n = 0; n < 2 * (SAMPLES + WARM_UP); n += 2) {
    const order = Math.random() < 0.5 ? ['known', 'unknown'] : ['unknown', 'known'];
    for (const [place, kind] of order.entries()) {
      const number = base + n + place;
      const email = kind === 'known' ? `known${(n / 2) % KNOWN}@home.example` : `other${number}@home.example`;
      const times = await ask(stage, question, number, email);
      if (n >= 2 * WARM_UP) times.forEach((time, which) => seen[kind][which].push(time));
    }
  }
  return seen;
}

function lineOf(name, known, unknown) {
  const told = (times) => [10, 50, 90].map((percent) => percentile(times, percent).toFixed(2)).join(' / ');
  const p = chance(known, unknown);
  const apart = Math.abs(percentile(known, 50) / percentile(unknown, 50) - 1);
  return { tells: p < 0.001 && apart > 0.02, text: `| ${[name, told(known), told(unknown), p.toFixed(3)].join(' | ')} |` };
}

async function main() {
  const program = options.program ?? programIn(options.target);
  const limits = `[abuse.mail]\nnetwork = ${MUCH}\naddress = ${MUCH}\ndomain = ${MUCH}\ntotal = ${MUCH}\n`;
  const stage = await startStage({ program, name: 'same-time', captcha: 'none', limits });
  await people(stage);
  const lines = [
    `${SAMPLES} requests of each kind; milliseconds, 10 % / median / 90 %; ` +
      `${/release/.test(program) ? 'release' : 'development'} build.`,
    '',
    '| asked for | known addresses | unknown addresses | p |',
    '|---|---|---|---|',
  ];
  let tells = false;
  for (const [place, question] of QUESTIONS.entries()) {
    const { known, unknown } = await measure(stage, question, 10_000 * (place + 1));
    for (const [which, name] of [question.name, `${question.name}, the request after it`].entries()) {
      const line = lineOf(name, known[which], unknown[which]);
      console.error(line.text);
      lines.push(line.text);
      tells ||= line.tells;
    }
    await stage.settles();
  }
  const report = lines.join('\n');
  console.log(report);
  if (options.write) writeSection(options.write, 'same time', report);
  return tells ? 1 : 0;
}

await conclude(main);
