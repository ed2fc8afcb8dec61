// The processes that a benchmark runs: starts them, waits for them, asks what they used, and ends
// them all, with the folder that they wrote to.

import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as later } from 'node:timers/promises';

const TICKS = 100; // of /proc/<pid>/stat in a second, on every Linux

export const folder = mkdtempSync(join(tmpdir(), 'vestibule-bench-'));
const children = [];
let stopping = false;

/** Ends everything that was started and removes what it wrote. */
export function stop() {
  stopping = true;
  for (const { pid } of children) {
    for (const one of treeOf(pid)) {
      try {
        process.kill(one, 'SIGKILL');
      } catch { /* gone already */ }
    }
  }
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
  child.stderr.on('data', (data) => log.length < 100 && log.push(data));
  child.on('exit', (code) => {
    if (!stopping && code !== null) throw new Error(`${name} ended with ${code}:\n${Buffer.concat(log)}`);
  });
  children.push(child);
  return child;
}

export async function reachable(url, accept = (response) => response.status < 500) {
  for (let tries = 0; tries < 300; tries += 1) {
    try {
      if (accept(await fetch(url, { redirect: 'manual' }))) return;
    } catch { /* not listening yet */ }
    await later(100);
  }
  throw new Error(`${url} does not answer`);
}

// The fields of /proc/<pid>/stat from the third on: the name before them may hold spaces.
function statOf(pid) {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1).split(' ');
  } catch {
    return null;
  }
}

/** A process and all that descend from it. */
function treeOf(root) {
  const parents = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
    .map((name) => [Number(name), Number(statOf(name)?.[1])]);
  const tree = [root];
  for (const parent of tree) tree.push(...parents.filter(([, of]) => of === parent).map(([pid]) => pid));
  return tree;
}

/** Processor seconds of a process and its children so far, those that ended included. */
export function cpuSeconds(root) {
  const used = treeOf(root).map((pid) => (statOf(pid) ?? []).slice(11, pid === root ? 15 : 13));
  return used.flat().reduce((sum, ticks) => sum + Number(ticks), 0) / TICKS;
}

/** MiB that a process and its children take, what they share with others by its part (PSS). */
export function memory(root) {
  const sizes = treeOf(root).map((pid) => {
    const told = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
    return Number(told.match(/^Pss:\s+(\d+)/m)[1]);
  });
  return sizes.reduce((sum, size) => sum + size, 0) / 1024;
}
