// Starts what is measured: nginx, minimal pingora proxies, and the gateway with somebody signed in.

import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { signIn } from './sign_in.mjs';

const HANDOFF_OCTETS = 150; // what the gateway adds to a request, spread over six headers
export const folder = mkdtempSync(join(tmpdir(), 'vestibule-bench-'));
const children = [];
let stopping = false;

/** Ends everything that was started and removes what it wrote. */
export function stop() {
  stopping = true;
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
}

// Runs a benchmark to its end: all that it started is stopped, and what it gives is the exit code.
export async function conclude(main) {
  let code = 1;
  try {
    code = (await main()) ?? 0;
  } finally {
    stop();
  }
  process.exit(code);
}

export async function freePort() {
  const server = createServer();
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
  const { port } = server.address();
  await new Promise((closed) => server.close(closed));
  return port;
}

export function start(name, program, ...args) {
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  const log = [];
  child.stderr.on('data', (data) => log.push(data));
  child.on('exit', (code) => {
    if (!stopping && code !== null) throw new Error(`${name} ended with ${code}:\n${Buffer.concat(log)}`);
  });
  children.push(child);
  return child;
}

export async function reachable(url, accept = (response) => response.status < 500) {
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
    master_process off; pid ${folder}/nginx.pid; error_log ${folder}/nginx.log; daemon off;
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

async function startMinimal({ target, wrapper }, upstream, octets) {
  const port = await freePort();
  const program = join(target, 'release/examples/minimal_proxy');
  const child = start('minimal proxy', ...wrapper, program, `127.0.0.1:${port}`, `127.0.0.1:${upstream}`, String(octets));
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

async function startGateway({ target, wrapper }, name, upstream, provider, sessions) {
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
  const child = start(name, ...wrapper, join(target, 'release/vestibule'), 'serve', '--config', join(home, 'vestibule.toml'));
  await reachable(`http://127.0.0.1:${admin}/readyz`, (response) => response.status === 200);
  const cookie = await signIn(`${origin}/app`, 'bench');
  return { origin, pid: child.pid, cookie };
}

/**
 * Starts all contestants; `target` is Cargo's target folder, `wrapper` the words before each
 * measured program (`valgrind …`). By name: where to ask, with which headers, which process to
 * watch.
 */
export async function startAll({ target, wrapper = [] }) {
  const how = { target, wrapper };
  const upstream = await startUpstream();
  const minimal = await startMinimal(how, upstream, 0);
  const minimalHeaders = await startMinimal(how, upstream, HANDOFF_OCTETS);
  const provider = await startProvider();
  const embedded = await startGateway(how, 'embedded', upstream, provider, null);
  const redis = await startGateway(how, 'redis', upstream, provider, `redis://127.0.0.1:${await startRedis()}`);
  const session = (gateway) => [`Cookie: ${gateway.cookie}`];
  return {
    'upstream alone': { url: `http://127.0.0.1:${upstream}/app` },
    'minimal pingora': { url: `http://127.0.0.1:${minimal.port}/app`, pid: minimal.pid },
    'minimal pingora, same headers': {
      url: `http://127.0.0.1:${minimalHeaders.port}/app`, pid: minimalHeaders.pid, headers: session(embedded),
    },
    'Vestibule, public path': { url: `${embedded.origin}/public/app`, pid: embedded.pid },
    'Vestibule, session, embedded': { url: `${embedded.origin}/app`, pid: embedded.pid, headers: session(embedded) },
    'Vestibule, session, Redis': { url: `${redis.origin}/app`, pid: redis.pid, headers: session(redis) },
  };
}
