// What the gateway aims at, and whether a run shows it.

import { YARDSTICK } from './contestants.mjs';
import { median } from './report.mjs';

const SESSIONS = ['Vestibule, session, embedded', 'Vestibule, session, Redis'];
const BEARER = 'Vestibule, bearer token';
const OIDC = 'Apache with mod_auth_openidc';
const OAUTH = 'oauth2-proxy';

// One in front of the other: the median of the rounds of `compare` (which gets both, round by round).
const AIMS = [
  ...SESSIONS.flatMap((name) => [
    [name, YARDSTICK, 'req/s of minimal', 'rate', ratio, 0.95, Infinity],
    [name, YARDSTICK, 'CPU of minimal', 'cpu', ratio, 0, 1.05],
    [name, YARDSTICK, 'p99 beyond minimal, ms', 'p99', difference, -Infinity, 1],
  ]),
  [BEARER, YARDSTICK, 'req/s of minimal', 'rate', ratio, 0.9, Infinity],
  ['Vestibule, session, 1,000 rules', 'Vestibule, session, 10 rules', 'CPU of 10 rules', 'cpu', ratio, 0, 1.05],
  [SESSIONS[0], OIDC, 'CPU of mod_auth_openidc', 'cpu', ratio, 0, 1 / 3],
  [SESSIONS[0], OAUTH, 'CPU of oauth2-proxy', 'cpu', ratio, 0, 1 / 2],
];

function ratio(own, other) {
  return own / other;
}

function difference(own, other) {
  return own - other;
}

const bound = (least, most) => (Number.isFinite(most) ? `at most ${Number(most.toFixed(2))}` : `at least ${least}`);

/** A table of aims and what these rounds show. */
export function aims(rounds) {
  const lines = ['| aim | wanted | measured | |', '|---|---|---|---|'];
  for (const [name, against, what, field, compare, least, most] of AIMS) {
    if (!rounds[0][name] || !rounds[0][against]) continue;
    const other = (round) => (against === YARDSTICK ? round[name].beside : round[against]);
    const measured = median(rounds.map((round) => compare(round[name][field], other(round)[field])));
    const is = measured >= least && measured <= most ? 'kept' : 'missed';
    lines.push(`| ${name}: ${what} | ${bound(least, most)} | ${measured.toFixed(2)} | ${is} |`);
  }
  return lines.join('\n');
}
