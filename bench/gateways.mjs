// The gateway as it is measured: with an identity provider, a person who is signed in, and the
// policies and stores that a measurement is about.

import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as later } from 'node:timers/promises';
import { folder, freePort, reachable, start } from './processes.mjs';
import { signIn } from './sign_in.mjs';

export const SECRET = 'a secret of the benchmark alone';

/** A Redis that keeps nothing; gives its port. */
export async function startRedis() {
  const port = await freePort();
  start('redis', 'redis-server', '--port', String(port), '--bind', '127.0.0.1', '--save', '', '--dir', folder);
  await later(500);
  return port;
}

/** The OpenID provider of the tests, and one person who has an account there. */
export async function startProvider() {
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
  /** Makes a relying party known; gives its client id. */
  const client = async (origin, callback) => {
    const client_id = `bench-${new URL(origin).port}`;
    await order(`/providers/${id}/clients`, {
      client_id, client_secret: SECRET, redirect_uris: [`${origin}${callback}`],
      post_logout_redirect_uris: [`${origin}/auth/logged-out`],
    });
    return client_id;
  };
  return { issuer, client };
}

/** A provider for storms, which takes every relying party as it is. */
export async function startFastProvider() {
  const child = start('identity provider', 'node', 'bench/fast_provider.mjs');
  const line = await new Promise((told) => child.stdout.once('data', told));
  const client = async (origin) => `bench-${new URL(origin).port}`;
  return { ...JSON.parse(line), client, pid: child.pid };
}

/** Rules for so many paths, each with a condition of its own, besides the path that is asked for. */
export function rules(count) {
  const rule = (number) => `[[rule]]\nname = "part-${number}"\npath = "/parts/${number}/**"\n` +
    `require = "has(identity.groups) && 'part-${number}' in identity.groups"\n`;
  return Array.from({ length: count - 1 }, (_, number) => rule(number)).join('');
}

/**
 * A gateway with somebody signed in. `within` is the folder of its own folder, which has its database;
 * `access` and `limits` are further policies, `sessions` a Redis
 * for them, `trusted` proxies in front, `settings` further parts of `vestibule.toml`, `log` what is logged, `protocol` what the upstream speaks.
 */
export async function startGateway({ target, wrapper }, name, { upstream, provider }, {
  within = folder, access = '', limits = '', sessions, trusted = [], settings = '', log = 'warn', protocol,
} = {}) {
  const [port, admin] = [await freePort(), await freePort()];
  const origin = `http://localhost:${port}`;
  const home = join(within, name);
  mkdirSync(join(home, 'policies'), { recursive: true });
  const write = (file, text, mode = 0o644) => writeFileSync(join(home, file), text, { mode });
  write('seal.key', randomBytes(32).toString('base64url'), 0o600);
  write('client-secret', SECRET, 0o600);
  write('vestibule.toml', `
[[host]]
origin = "${origin}"
[listen]
address = "127.0.0.1:${port}"
admin = "127.0.0.1:${admin}"
trusted_proxies = ${JSON.stringify(trusted)}
connections = { per_network = 20000, total = 20000 }
[upstream]
servers = ["http://127.0.0.1:${upstream}"]
${protocol ? `protocol = "${protocol}"` : ''}
[store]
database = "sqlite://${join(home, 'vestibule.db')}"
${sessions ? `sessions = "redis://127.0.0.1:${sessions}"` : ''}
[keys]
seal = [{ file = "seal.key" }]
[[identity_provider]]
id = "bench"
name = "Bench"
issuer = "${provider.issuer}"
client_id = "${await provider.client(origin, '/auth/callback')}"
client_secret = { file = "client-secret" }
[platform]
kind = "builtin"
[log]
filter = "${log}"
${settings}`);
  write('policies/access.toml', `[[rule]]\nname = "public"\npath = "/public/**"\naccess = "public"\n${access}`);
  write('policies/limits.toml', limits);
  const child = start(name, ...wrapper, join(target, 'release/vestibule'), 'serve', '--config', join(home, 'vestibule.toml'));
  await reachable(`http://127.0.0.1:${admin}/readyz`, (response) => response.status === 200);
  const cookie = await signIn(`${origin}/app`, 'bench', /^__Host-vestibule$/);
  return { origin, pid: child.pid, cookie };
}
