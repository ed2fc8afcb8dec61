// What the gateway costs, measured side by side on one machine, in one run.
//
//   node bench/run.mjs [--rounds 10] [--seconds 5] [--connections 64] [--write docs/performance.md]
//
// Contestants take turns in every round, so that a slow minute hits all of them. Each is loaded by
// wrk through loopback; CPU seconds are read from /proc. Compared are paired ratios to the minimal
// pingora proxy of bench/minimal_proxy.rs, which has the same build profile: the median of the
// rounds, with the smallest and largest.

import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { cpus, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { signIn } from './sign_in.mjs';

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
const HANDOFF_OCTETS = 150; // what the gateway adds to a request, spread over six headers
const folder = mkdtempSync(join(tmpdir(), 'vestibule-bench-'));
const children = [];

async function freePort() {
  const server = createServer();
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
  const { port } = server.address();
  await new Promise((closed) => server.close(closed));
  return port;
}

function start(name, program, ...args) {
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  const log = [];
  child.stderr.on('data', (data) => log.push(data));
  child.on('exit', (code) => {
    if (!stopping && code !== null) throw new Error(`${name} ended with ${code}:\n${Buffer.concat(log)}`);
  });
  children.push(child);
  return child;
}

async function reachable(url, accept = (response) => response.status < 500) {
  for (let tries = 0; tries < 200; tries += 1) {
    try {
      if (accept(await fetch(url, { redirect: 'manual' }))) return;
    } catch { /* not listening yet */ }
    await new Promise((later) => setTimeout(later, 100));
  }
  throw new Error(`${url} does not answer`);
}

async function startUpstream() {
  const port = await freePort();
  const config = join(folder, 'nginx.conf');
  writeFileSync(join(folder, 'body'), 'x'.repeat(1024));
  writeFileSync(config, `
    worker_processes 1; pid ${folder}/nginx.pid; error_log ${folder}/nginx.log; daemon off;
    events { worker_connections 4096; }
    http {
      access_log off; keepalive_requests 1000000000;
      client_body_temp_path ${folder}; proxy_temp_path ${folder}; fastcgi_temp_path ${folder};
      uwsgi_temp_path ${folder}; scgi_temp_path ${folder};
      server {
        listen 127.0.0.1:${port};
        location / { root ${folder}; try_files /body =404; default_type text/plain; }
      }
    }`);
  start('nginx', 'nginx', '-c', config);
  await reachable(`http://127.0.0.1:${port}/`);
  return port;
}

async function startMinimal(upstream, octets) {
  const port = await freePort();
  const program = join(options.target, 'release/examples/minimal_proxy');
  const child = start('minimal proxy', program, `127.0.0.1:${port}`, `127.0.0.1:${upstream}`, String(octets));
  await reachable(`http://127.0.0.1:${port}/`);
  return { port, pid: child.pid };
}

async function startRedis() {
  const port = await freePort();
  start('redis', 'redis-server', '--port', String(port), '--bind', '127.0.0.1', '--save', '', '--dir', folder);
  await new Promise((later) => setTimeout(later, 500));
  return port;
}

async function startProvider() {
  const child = start('identity provider', 'node', 'tests/services/main.mjs');
  const line = await new Promise((told) => child.stdout.once('data', told));
  const { control } = JSON.parse(line);
  const order = async (path, body) => {
    const answer = await fetch(`${control}${path}`, { method: 'POST', body: JSON.stringify(body) });
    if (!answer.ok) throw new Error(await answer.text());
    return answer.json();
  };
  const { id, issuer } = await order('/providers', {});
  await order(`/providers/${id}/people`, {
    login: 'bench', claims: { name: 'Bench', email: 'bench@example.org', email_verified: true },
  });
  const client = (origin) => order(`/providers/${id}/clients`, {
    client_id: `bench-${new URL(origin).port}`, client_secret: 'a secret of the benchmark alone',
    redirect_uris: [`${origin}/auth/callback`], post_logout_redirect_uris: [`${origin}/auth/logged-out`],
  });
  return { issuer, client };
}

async function startGateway(name, upstream, provider, sessions) {
  const [port, admin] = [await freePort(), await freePort()];
  const origin = `http://localhost:${port}`;
  await provider.client(origin);
  const home = join(folder, name);
  const policies = join(home, 'policies');
  mkdirSync(policies, { recursive: true });
  const key = join(home, 'seal.key');
  writeFileSync(key, randomBytes(32).toString('base64url'), { mode: 0o600 });
  const secret = join(home, 'client-secret');
  writeFileSync(secret, 'a secret of the benchmark alone', { mode: 0o600 });
  writeFileSync(join(home, 'vestibule.toml'), `
[[host]]
origin = "${origin}"
[listen]
address = "127.0.0.1:${port}"
admin = "127.0.0.1:${admin}"
[upstream]
servers = ["http://127.0.0.1:${upstream}"]
[store]
database = "sqlite://${join(home, 'vestibule.db')}"
${sessions ? `sessions = "${sessions}"` : ''}
[keys]
seal = [{ file = "${key}" }]
[[identity_provider]]
id = "bench"
name = "Bench"
issuer = "${provider.issuer}"
client_id = "bench-${port}"
client_secret = { file = "${secret}" }
[platform]
kind = "builtin"
[log]
filter = "warn"
`);
  writeFileSync(join(policies, 'access.toml'), '[[rule]]\nname = "public"\npath = "/public/**"\naccess = "public"\n');
  writeFileSync(join(policies, 'limits.toml'), '');
  const child = start(name, join(options.target, 'release/vestibule'), 'serve', '--config', join(home, 'vestibule.toml'));
  await reachable(`http://127.0.0.1:${admin}/readyz`, (response) => response.status === 200);
  const cookie = await signIn(`${origin}/app`, 'bench');
  return { origin, pid: child.pid, cookie };
}

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
    p50: milliseconds(told.match(/50%\s+(\S+)/)[1]),
    p99: milliseconds(told.match(/99%\s+(\S+)/)[1]),
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

let stopping = false;
function stop() {
  stopping = true;
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
}

async function main() {
  const upstream = await startUpstream();
  const minimal = await startMinimal(upstream, 0);
  const minimalHeaders = await startMinimal(upstream, HANDOFF_OCTETS);
  const provider = await startProvider();
  const embedded = await startGateway('embedded', upstream, provider, null);
  const redis = await startGateway('redis', upstream, provider, `redis://127.0.0.1:${await startRedis()}`);
  const session = (gateway) => [`Cookie: ${gateway.cookie}`];
  const contestants = {
    'upstream alone': { url: `http://127.0.0.1:${upstream}/app` },
    'minimal pingora': { url: `http://127.0.0.1:${minimal.port}/app`, pid: minimal.pid },
    'minimal pingora, same headers': {
      url: `http://127.0.0.1:${minimalHeaders.port}/app`, pid: minimalHeaders.pid, headers: session(embedded),
    },
    'Vestibule, public path': { url: `${embedded.origin}/public/app`, pid: embedded.pid },
    'Vestibule, session, embedded': { url: `${embedded.origin}/app`, pid: embedded.pid, headers: session(embedded) },
    'Vestibule, session, Redis': { url: `${redis.origin}/app`, pid: redis.pid, headers: session(redis) },
  };
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
  const report = table(names, rounds);
  const about = `${ROUNDS} rounds of ${options.seconds} s, ${options.connections} connections, ` +
    `${cpus().length} cores (${cpus()[0].model}); median (smallest-largest).`;
  console.log(`${about}\n\n${report}`);
  if (options.write) {
    const text = readFileSync(options.write, 'utf8');
    const [head] = text.split('<!-- measured -->');
    writeFileSync(resolve(options.write), `${head}<!-- measured -->\n${about}\n\n${report}\n`);
  }
}

try {
  await main();
} finally {
  stop();
}
process.exit(0);
