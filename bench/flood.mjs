// A worker that asks for registration links as fast as they are answered, each time for another
// address, and from the networks that it is told to come from.

import { Agent } from 'node:http';
import { parentPort, workerData } from 'node:worker_threads';
import { exchange, formOf } from './visitor.mjs';

const { origin, attempts, connections, networks } = workerData;
const agent = new Agent({ keepAlive: true, maxSockets: connections });
const DOMAINS = 100;

/** Where attempt `n` comes from: one /64, or as many IPv4 addresses and /64 networks as attempts. */
function addressOf(n) {
  const [high, low] = [(n >> 8).toString(16), (n & 255).toString(16)];
  if (networks === 'one') return `2001:db8::${high}:${low}`;
  return n % 2 ? `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}` : `2001:db8:${high}:${low}::1`;
}

async function attempt(n, token) {
  const fields = { form_token: token, return_to: '/', email: `robot${n}@d${n % DOMAINS}.robots.example` };
  const answer = await exchange(`${origin}/auth/register/email`, {
    method: 'POST', agent, body: new URLSearchParams(fields), headers: { origin, 'x-forwarded-for': addressOf(n) },
  });
  return answer.status;
}

const page = await exchange(`${origin}/auth/register/email`, { agent, headers: { 'x-forwarded-for': '192.0.2.1' } });
const token = formOf(page.text).fields.get('form_token');
const statuses = {};
let [next, done] = [0, 0];
const began = performance.now();
await Promise.all(Array.from({ length: connections }, async () => {
  while (next < attempts) {
    const status = await attempt(next++, token);
    statuses[status] = (statuses[status] ?? 0) + 1;
    done += 1;
    if (done % (attempts / 10) === 0) parentPort.postMessage({ done });
  }
}));
parentPort.postMessage({ done, statuses, seconds: (performance.now() - began) / 1000 });
process.exit(0);
