// A running `vestibule demo`, one for each way of looking, so that everybody is new in each.

import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after } from 'node:test';

const running = new Map();

// The arguments of each demo that name its stores; without them it keeps all in its own folder.
const stores = JSON.parse(process.env.VESTIBULE_STORES ?? '[]');

export function demoFor(way) {
  if (!running.has(way.name)) running.set(way.name, start());
  return running.get(way.name);
}

async function start() {
  const program = process.env.VESTIBULE;
  if (!program) throw new Error('VESTIBULE is not set: it names the program to test');
  if (process.env.VESTIBULE_STORES && stores.length === 0) throw new Error('there are no stores left');
  const child = spawn(program, ['demo', '--port', String(await freePort()), ...(stores.shift() ?? [])], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const welcome = await new Promise((told, failed) => {
    let text = '';
    child.on('exit', (code) => failed(new Error(`the demo ended with ${code}:\n${text}`)));
    child.stdout.on('data', (piece) => {
      text += piece;
      if (text.includes('Stop with Ctrl-C')) told(text);
    });
  });
  const [, origin] = welcome.match(/(http:\/\/localhost:\d+)\//);
  const [, mail] = welcome.match(/Mail\s+(\S+)/);
  const terms = welcome.match(/Terms\s+(\S+)/)?.[1];
  const [, mailbox] = welcome.match(/letters are at (\S+)/);
  return { child, origin, mail, mailbox, terms };
}

// The code in the newest letter; letters take a moment.
export async function mailedCode({ mail }) {
  for (let tries = 0; tries < 100; tries += 1) {
    const letters = readLetters(mail);
    const code = letters.at(-1)?.match(/^\s*(\d{6,10})\s*$/m);
    if (code) return code[1];
    await new Promise((waited) => setTimeout(waited, 100));
  }
  throw new Error(`no code in ${mail}`);
}

// The link in the newest letter to an address; letters take a moment.
export async function mailedLink({ mail }, address, path) {
  for (let tries = 0; tries < 100; tries += 1) {
    const letters = readLetters(mail).filter((letter) => letter.includes(`To: ${address}`));
    const plain = letters.at(-1)?.replaceAll(/=\r?\n/g, '').replaceAll('=3D', '=');
    const link = plain?.match(/https?:\S+\/auth\/\S+\?link=[\w-]+/);
    if (link && link[0].includes(path)) return link[0];
    await new Promise((waited) => setTimeout(waited, 100));
  }
  throw new Error(`no link to ${path} for ${address} in ${mail}`);
}

function readLetters(folder) {
  try {
    const names = readdirSync(folder).filter((name) => name.endsWith('.eml')).sort();
    return names.map((name) => readFileSync(join(folder, name), 'utf8'));
  } catch {
    return [];
  }
}

function freePort() {
  return new Promise((found) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => found(port));
    });
  });
}

after(async () => {
  for (const demo of running.values()) {
    await demo.then(({ child }) => child.kill('SIGTERM'), () => {});
  }
});
