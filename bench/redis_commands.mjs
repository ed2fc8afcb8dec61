// What a Redis was asked, by its own count (`INFO commandstats`).

import { execFileSync } from 'node:child_process';

/** How often each command was called so far; those of this question are not in it. */
export function commandsOf(port) {
  const told = execFileSync('redis-cli', ['-p', String(port), 'info', 'commandstats'], { encoding: 'utf8' });
  const lines = [...told.matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm)].map(([, command, calls]) => [command, Number(calls)]);
  return new Map(lines.filter(([command]) => !['info', 'command', 'command|docs'].includes(command)));
}

/** What was asked between two such counts. */
export function spentBetween(before, after) {
  const spent = [...after].map(([command, calls]) => [command, calls - (before.get(command) ?? 0)]);
  return new Map(spent.filter(([, calls]) => calls > 0));
}
