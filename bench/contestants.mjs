// Starts what is measured: nginx, minimal pingora proxies, the gateway in several set-ups, and its
// peers, each with somebody signed in.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { rules, startFastProvider, startGateway, startProvider, startRedis } from './gateways.mjs';
import { startModAuthOpenidc, startNginx, startOauth2Proxy } from './peers.mjs';
import { folder, freePort, reachable, start } from './processes.mjs';

const HANDOFF_OCTETS = 150; // what the gateway adds to a request, spread over six headers

/** A limit that is drawn from at every request of a user and never reached. */
const limit = (scope) => `[limit.all]\nrate = "1000000/s"\nper = "user"\nscope = "${scope}"\n[apply]\nuser = "all"\n`;

const AUDIENCE = 'https://api.example.org';
const API = '[[rule]]\nname = "api"\npath = "/api/**"\naccess = "api"\naccount = "optional"\n';

export const YARDSTICK = 'minimal pingora';

/** nginx that answers 1 KiB; gives its port. */
export async function startUpstream() {
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

/** The least that a pingora proxy can be; `octets` are added to requests. */
export async function startMinimal({ target, wrapper }, upstream, octets) {
  const port = await freePort();
  const program = join(target, 'release/examples/minimal_proxy');
  const child = start('minimal proxy', ...wrapper, program, `127.0.0.1:${port}`, `127.0.0.1:${upstream}`, String(octets));
  await reachable(`http://127.0.0.1:${port}/`);
  return { url: `http://127.0.0.1:${port}/app`, pid: child.pid };
}

/** A gateway that takes tokens of an issuer (ES256), and one token that comes again and again. */
async function startBearer(how, around) {
  const { issuer } = await startFastProvider();
  const settings = `[[api_issuer]]\nid = "bench"\nissuer = "${issuer}"\naudience = ["${AUDIENCE}"]\n`;
  const { origin, pid } = await startGateway(how, 'bearer', around, { access: API, settings });
  const token = await (await fetch(`${issuer}/bearer?subject=program&audience=${AUDIENCE}`)).text();
  return { url: `${origin}/api/app`, pid, headers: [`Authorization: Bearer ${token}`] };
}

/**
 * Starts the contestants that are `wanted`; `target` is Cargo's target folder, `wrapper` the words
 * before each measured program (`valgrind …`). By name: where to ask, with which headers, which
 * process to watch, and the port of its Redis where it has one.
 */
export async function startAll({ target, wrapper = [], wanted = () => true }) {
  const how = { target, wrapper };
  const upstream = await startUpstream();
  const provider = await startProvider();
  const around = { upstream, provider };
  const contestants = {};
  const enter = async (name, starting) => {
    const started = wanted(name) && await starting();
    if (started) contestants[name] = started;
    else if (started === null) console.error(`${name}: left out, the program is not installed`);
  };
  const gateway = async (folderName, policies, path = '/app') => {
    const { origin, pid, cookie } = await startGateway(how, folderName, around, policies);
    return { url: `${origin}${path}`, pid, headers: [`Cookie: ${cookie}`], redis: policies.sessions };
  };
  const embedded = await gateway('embedded', {});
  // The same request for all: what a browser sends that is signed in.
  const { headers } = embedded;
  await enter('upstream alone', () => ({ url: `http://127.0.0.1:${upstream}/app`, headers }));
  await enter('nginx, plain proxy', async () => ({ ...await startNginx(upstream), headers }));
  await enter(YARDSTICK, async () => ({ ...await startMinimal(how, upstream, 0), headers }));
  await enter('minimal pingora, more headers', async () => ({ ...await startMinimal(how, upstream, HANDOFF_OCTETS), headers }));
  await enter('Vestibule, public path', () => ({ ...embedded, url: embedded.url.replace('/app', '/public/app'), headers: [] }));
  await enter('Vestibule, session, embedded', () => embedded);
  await enter('Vestibule, session, Redis', async () => gateway('redis', { sessions: await startRedis() }));
  await enter('Vestibule, session, access log', () => gateway('log', { log: 'info' }));
  await enter('Vestibule, session, 10 rules', () => gateway('rules-10', { access: rules(10) }));
  await enter('Vestibule, session, 1,000 rules', () => gateway('rules-1000', { access: rules(1000) }));
  await enter('Vestibule, session, limit per node', () => gateway('node', { limits: limit('node') }));
  await enter('Vestibule, session, limit per cluster', async () => (
    gateway('cluster', { limits: limit('cluster'), sessions: await startRedis() })));
  await enter('Vestibule, bearer token', () => startBearer(how, around));
  await enter('Apache with mod_auth_openidc', () => startModAuthOpenidc(upstream, provider));
  await enter('oauth2-proxy', () => startOauth2Proxy(upstream, provider));
  return contestants;
}
