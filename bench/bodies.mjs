// What large bodies cost in memory on their way through the gateway.
//
//   node bench/bodies.mjs [--mib 1024] [--write docs/upstreams.md]
//
// Bodies go up and down, to upstreams of HTTP/1.1 and of HTTP/2, once with a reader who pauses. Shown
// is how far the gateway's memory rose above what it was before. Clients and upstreams are in this
// process.

import http from 'node:http';
import http2 from 'node:http2';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as later } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { startGateway, startProvider } from './gateways.mjs';
import { conclude, memory } from './processes.mjs';
import { writeSection } from './report.mjs';

const { values: options } = parseArgs({
  options: {
    mib: { type: 'string', default: '1024' },
    write: { type: 'string' },
    target: { type: 'string', default: process.env.CARGO_TARGET_DIR ?? 'target' },
  },
});
const BODY = Number(options.mib) * 2 ** 20;
const PIECE = Buffer.alloc(2 ** 16, 'x');
const LOOK_EVERY = 50;

const listen = (server) => new Promise((ready) => server.listen(0, '127.0.0.1', () => ready(server.address().port)));

function* pieces() {
  for (let left = BODY; left > 0; left -= PIECE.length) yield PIECE.subarray(0, Math.min(left, PIECE.length));
}

/** Counts what comes up; sends as much down to whoever asks for it. */
async function answer(request, response) {
  let received = 0;
  for await (const piece of request) received += piece.length;
  if (request.url !== '/large') return response.end(String(received));
  // A client that goes away is nobody's fault.
  return pipeline(Readable.from(pieces()), response).catch(() => {});
}

/** Sends one up, or fetches one; a reader who `pauses` stops for a second four times. */
function exchange({ origin, cookie }, { up = false, pauses = false }) {
  const headers = { cookie, ...(up && { 'content-length': BODY }) };
  return new Promise((done, failed) => {
    const request = http.request(`${origin}${up ? '/up' : '/large'}`, { method: up ? 'POST' : 'GET', headers });
    request.on('error', failed).on('response', async (response) => {
      let received = 0;
      let said = '';
      for await (const piece of response) {
        if (pauses && received % (BODY / 4) < piece.length) await later(1000);
        received += piece.length;
        if (up) said += piece;
      }
      const arrived = up ? Number(said) : received;
      if (response.statusCode === 200 && arrived === BODY) done();
      else failed(new Error(`${response.statusCode}: ${arrived} octets arrived`));
    });
    if (up) pipeline(Readable.from(pieces()), request).catch(failed);
    else request.end();
  });
}

/** How far the memory of the gateway rose during an exchange, MiB, and how long that took, seconds. */
async function measured(gateway, how) {
  const before = memory(gateway.pid);
  let most = before;
  const look = setInterval(() => { most = Math.max(most, memory(gateway.pid)); }, LOOK_EVERY);
  const began = performance.now();
  await exchange(gateway, how);
  clearInterval(look);
  return { rise: most - before, seconds: (performance.now() - began) / 1000 };
}

const WAYS = { up: { up: true }, down: {}, 'down, to a reader who pauses': { pauses: true } };

await conclude(async () => {
  const provider = await startProvider();
  const lines = [];
  for (const [protocol, server] of [['h1', http.createServer(answer)], ['h2', http2.createServer(answer)]]) {
    const around = { upstream: await listen(server), provider };
    const gateway = await startGateway({ target: options.target, wrapper: [] }, protocol, around, { protocol });
    for (const [name, how] of Object.entries(WAYS)) {
      const { rise, seconds } = await measured(gateway, how);
      lines.push(`| ${name} | ${protocol} | ${rise.toFixed(1)} MiB | ${seconds.toFixed(1)} s |`);
      console.log(lines.at(-1));
    }
  }
  const head = `| body of ${options.mib} MiB | upstream | memory rose by at most | took |\n|---|---|---|---|`;
  if (options.write) writeSection(options.write, 'bodies', `${head}\n${lines.join('\n')}`);
});
