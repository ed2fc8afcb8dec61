// What sign-ups are measured on: the gateway behind a proxy that is believed, with registration by
// mail, a real mail server, and an upstream.

import { randomBytes } from 'node:crypto';
import { createWriteStream, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { setTimeout as later } from 'node:timers/promises';
import { Mailbox } from '../tests/services/mailbox.mjs';
import { Issuer } from '../tests/services/provider.mjs';
import { folder, freePort, reachable, start } from './processes.mjs';

/** The release build, or where there is none the development build; `--program` names another. */
export function programIn(target) {
  const builds = ['release', 'debug'].map((profile) => join(target, profile, 'vestibule'));
  const found = builds.find((build) => existsSync(build));
  if (!found) throw new Error('build vestibule first: cargo build --release');
  return found;
}

/** A gateway of its own for each measurement. `captcha` is the setting of its sign-up form. */
export async function startStage({ program, name, captcha, limits = '' }) {
  const [mailbox, provider] = [await Mailbox.start({}), await Issuer.start({})];
  const upstream = createServer((_, answer) => answer.end('hello'));
  await new Promise((listening) => upstream.listen(0, '127.0.0.1', listening));
  const [port, admin] = [await freePort(), await freePort()];
  const origin = `http://localhost:${port}`;
  const home = join(folder, name);
  mkdirSync(join(home, 'policies/signup'), { recursive: true });
  mkdirSync(join(home, 'policies/agreements'), { recursive: true });
  const write = (file, text, mode = 0o644) => writeFileSync(join(home, file), text, { mode });
  const token = 'the operator of a benchmark alone';
  write('operator', token, 0o600);
  write('client-secret', 'nobody comes this way', 0o600);
  write('seal.key', randomBytes(32).toString('base64url'), 0o600);
  write('policies/onboarding.toml', '[self_registration]\nenabled = true\n');
  write('policies/limits.toml', limits);
  write('policies/signup/default.toml',
    `agreements = ["terms"]\ncaptcha = "${captcha}"\n[[field]]\nname = "name"\n[[field]]\nname = "company"\n`);
  write('policies/agreements/terms.en.md', '# Terms of use\n\nBe kind.\n');
  write('vestibule.toml', `
[[host]]
origin = "${origin}"
[listen]
address = "127.0.0.1:${port}"
admin = "127.0.0.1:${admin}"
trusted_proxies = ["127.0.0.0/8"]
[upstream]
servers = ["http://127.0.0.1:${upstream.address().port}"]
[store]
database = "sqlite://${join(home, 'vestibule.db')}"
[keys]
seal = [{ file = "seal.key" }]
[[identity_provider]]
id = "corp"
name = "Corp"
issuer = "${provider.url}"
client_id = "sign-ups"
client_secret = { file = "client-secret" }
[[admin.token]]
name = "bench"
secret = { file = "operator" }
[platform]
kind = "builtin"
[mail]
smtp = "smtp://127.0.0.1:${mailbox.port}"
from = "Acme <no-reply@acme.example>"
[log]
filter = "error"
`);
  const child = start(name, program, 'serve', '--config', join(home, 'vestibule.toml'));
  const log = createWriteStream(join(home, 'log'));
  child.stdout.pipe(log);
  child.stderr.pipe(log);
  await reachable(`http://127.0.0.1:${admin}/readyz`, (answer) => answer.status === 200);
  const status = () => readFileSync(`/proc/${child.pid}/status`, 'utf8');
  return {
    origin,
    mailbox,
    /** Resident memory, MiB. */
    memory: () => Number(status().match(/VmRSS:\s+(\d+)/)[1]) / 1024,
    /** Has the back office make something; gives what it answers. */
    async makes(path, body) {
      const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
      const answer = await fetch(`http://127.0.0.1:${admin}${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
      if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
      return answer.json();
    },
    /** Waits until no more letters come. */
    async settles() {
      for (let known = -1; known !== mailbox.letters.length; await later(3000)) known = mailbox.letters.length;
    },
  };
}
