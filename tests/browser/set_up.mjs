// The gateway and its neighbours that the integration tests started; VESTIBULE_SET_UP holds their
// addresses: the gateway's origin, its platform's and its operators' API, the control addresses of
// two identity providers and of the mail server.

import assert from 'node:assert/strict';

const told = JSON.parse(process.env.VESTIBULE_SET_UP ?? 'null');
if (!told) throw new Error('VESTIBULE_SET_UP is not set: the gateway tests set it');

export const { name, origin } = told;

// Makes somebody known to one of the providers: `corp`, or `partners`, at which nobody logs out.
export const isKnownAt = (provider, login, claims) =>
  json(`${told.providers[provider]}/people`, { login, claims });

export async function addToPlatform(what, record) {
  const { id } = await json(`${told.platform.url}/${what}`, record, told.platform.token);
  return id;
}

export async function inPlatform(what) {
  const { items } = await json(`${told.platform.url}/${what}?limit=1000`, undefined, told.platform.token);
  return items;
}

// What `vestibule registrations` and `vestibule invitations` speak.
export const asOperator = (what, body) => json(`${told.operator}/${what}`, body, told.platform.token);

// The code in the newest letter to somebody.
export async function mailedCode(address) {
  const [, code] = await mailed(address, /^\s*(\d{6,10})\s*$/m);
  return code;
}

// The link to a page of ours in the newest letter to somebody.
export async function mailedLink(address, path) {
  const [link] = await mailed(address, new RegExp(`https?:\\S+${path}\\S*`));
  return link;
}

// Letters take a moment.
async function mailed(address, what) {
  for (let tries = 0; tries < 100; tries += 1) {
    const letters = await json(told.mailbox);
    const letter = letters.findLast(({ to }) => to.includes(address));
    const found = letter?.text.match(what);
    if (found) return found;
    await new Promise((waited) => setTimeout(waited, 100));
  }
  throw new Error(`nothing like ${what} was mailed to ${address}`);
}

async function json(address, body, token) {
  const answer = await fetch(address, {
    method: body ? 'POST' : 'GET',
    headers: { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) },
    body: body && JSON.stringify(body),
  });
  assert.ok(answer.ok, `${address}: ${answer.status}`);
  return answer.json();
}
