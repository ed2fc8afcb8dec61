// What open WebSockets cost in memory while nothing is said on them.
//
//   node bench/idle_websockets.mjs [--quick] [--count 10000] [--write docs/performance.md]
//
// All are of one person who is signed in, so that each is watched for the end of the session, as
// every stream of somebody is. Afterwards every hundredth one is spoken on, to see that it lives.

import { execFileSync, fork } from 'node:child_process';
import { connect, createServer } from 'node:net';
import { setTimeout as later } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { YARDSTICK, startMinimal } from './contestants.mjs';
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
const AT_ONCE = 100;
const MOST_TIME = 120_000; // for opening all of them, milliseconds
// Each takes two descriptors of the gateway; where the system gives fewer, there are fewer sockets.
const RAISE = 'ulimit -n 65536 2>/dev/null';
const WRAPPER = ['sh', '-c', `${RAISE}; exec "$@"`, 'sh'];
const DESCRIPTORS = Number(execFileSync('sh', ['-c', `${RAISE}; ulimit -n`], { encoding: 'utf8' }));
const COUNT = Math.min(Number(options.count ?? (options.quick ? 1000 : 10000)), (DESCRIPTORS >> 1) - 200);
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
    socket.once('close', () => failed(new Error('closed without an answer')));
  });
}

/** Whether what is said comes back. */
function lives(socket) {
  return new Promise((said) => {
    socket.once('data', (heard) => said(String(heard) === 'hello'));
    socket.once('close', () => said(false));
    socket.write('hello');
  });
}

/** What a proxy takes for each of so many sockets, in words. */
async function measure(name, proxy) {
  (await open(proxy)).destroy(); // what comes with the first is not each one's
  const before = memory(proxy.pid);
  const sockets = [];
  const until = Date.now() + MOST_TIME;
  while (sockets.length < COUNT && Date.now() < until) {
    const wanted = Math.min(AT_ONCE, COUNT - sockets.length);
    sockets.push(...await Promise.all(Array.from({ length: wanted }, () => open(proxy))));
  }
  await later(5000);
  const after = memory(proxy.pid);
  const heard = await Promise.all(sockets.filter((_, number) => number % 100 === 0).map(lives));
  if (!heard.every(Boolean)) throw new Error('a WebSocket is dead');
  sockets.forEach((socket) => socket.destroy());
  const each = ((after - before) * 1024) / sockets.length;
  return `| ${name} | ${sockets.length} | ${before.toFixed(0)} | ${after.toFixed(0)} | ${each.toFixed(1)} |`;
}

async function main() {
  const upstream = fork(new URL(import.meta.url), ['serve']);
  const port = await new Promise((told) => upstream.once('message', told));
  const around = { upstream: port, provider: await startProvider() };
  const how = { target: options.target, wrapper: WRAPPER };
  const minimal = await startMinimal(how, port, 0);
  const lines = [
    await measure(YARDSTICK, { origin: new URL(minimal.url).origin, pid: minimal.pid, cookie: 'a=b' }),
    await measure('Vestibule, session', await startGateway(how, 'sockets', around)),
  ];
  upstream.kill();
  const report = ['| proxy | idle WebSockets | MiB before | MiB with them | KiB each |', '|---|---|---|---|---|', ...lines].join('\n');
  console.log(report);
  if (options.write) writeSection(options.write, 'sockets', report);
}

if (process.argv[2] === 'serve') await serve();
else await conclude(main);
