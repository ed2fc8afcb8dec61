// What open WebSockets cost in memory while nothing is said on them.
//
//   node bench/idle_websockets.mjs [--quick] [--count 10000] [--write docs/performance.md]
//
// All are of one person who is signed in, so that each is watched for the end of the session, as
// every stream of somebody is. Afterwards every hundredth one is spoken on, to see that it lives.

import { fork } from 'node:child_process';
import { connect, createServer } from 'node:net';
import { setTimeout as later } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { startGateway, startProvider } from './gateways.mjs';
import { conclude, memory } from './processes.mjs';
import { writeSection } from './report.mjs';

const { values: options } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    count: { type: 'string' },
    write: { type: 'string' },
    target: { type: 'string', default: process.env.CARGO_TARGET_DIR ?? 'target' },
  },
});
const COUNT = Number(options.count ?? (options.quick ? 1000 : 10000));
const AT_ONCE = 100;
const MOST_TIME = 120_000; // for opening all of them, milliseconds
// Each takes two descriptors of the gateway; only root may go beyond what the system gives.
const WRAPPER = ['sh', '-c', 'ulimit -n 65536 2>/dev/null; exec "$@"', 'sh'];
const AGREED = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
  'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n';

/** Agrees to every handshake and says back what comes; answers plain requests. */
async function serve() {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', (head) => {
      if (!/^upgrade:/im.test(head)) return socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok');
      socket.write(AGREED);
      return socket.on('data', (said) => socket.write(said));
    });
  });
  process.on('disconnect', () => process.exit());
  await new Promise((listening) => server.listen(0, '127.0.0.1', 4096, listening));
  process.send(server.address().port);
}

/** Opens a WebSocket; gives its socket once the other side has agreed. */
function open({ origin, cookie }) {
  const { hostname, port, host } = new URL(origin);
  return new Promise((opened, failed) => {
    const socket = connect({ port, host: hostname === 'localhost' ? '127.0.0.1' : hostname });
    socket.write(`GET /live HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
      `Origin: ${origin}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nCookie: ${cookie}\r\n\r\n`);
    socket.once('data', (head) => (String(head).startsWith('HTTP/1.1 101') ? opened(socket) : failed(new Error(String(head)))));
    socket.once('error', failed);
  });
}

/** Whether what is said comes back. */
function lives(socket) {
  return new Promise((said) => {
    socket.once('data', (heard) => said(String(heard) === 'hello'));
    socket.write('hello');
  });
}

async function main() {
  const upstream = fork(new URL(import.meta.url), ['serve']);
  const port = await new Promise((told) => upstream.once('message', told));
  const around = { upstream: port, provider: await startProvider() };
  const gateway = await startGateway({ target: options.target, wrapper: WRAPPER }, 'sockets', around);
  const before = memory(gateway.pid);
  const sockets = [];
  const until = Date.now() + MOST_TIME;
  while (sockets.length < COUNT && Date.now() < until) {
    const wanted = Math.min(AT_ONCE, COUNT - sockets.length);
    sockets.push(...await Promise.all(Array.from({ length: wanted }, () => open(gateway))));
  }
  await later(5000);
  const after = memory(gateway.pid);
  const heard = await Promise.all(sockets.filter((_, number) => number % 100 === 0).map(lives));
  if (!heard.every(Boolean)) throw new Error('a WebSocket is dead');
  upstream.kill();
  const each = ((after - before) * 1024) / sockets.length;
  const report = `${sockets.length} idle WebSockets: ${before.toFixed(0)} MiB before, ${after.toFixed(0)} MiB with them, ` +
    `${each.toFixed(1)} KiB each (the kernel's socket buffers are not in it).`;
  console.log(report);
  if (options.write) writeSection(options.write, 'sockets', report);
}

if (process.argv[2] === 'serve') await serve();
else await conclude(main);
