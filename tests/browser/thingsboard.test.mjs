// ThingsBoard's pages behind the gateway: signed in without their own login, at the page first asked
// for, with a live socket; renewed by the gateway; and signed out of on both sides.

import assert from 'node:assert/strict';
import { journey, WAYS } from './chromium.mjs';
import { heading, registers } from './people.mjs';
import { isKnownAt, origin } from './set_up.mjs';

const DEEP_LINK = '/dashboards/17?tab=values';
const WITH_SCRIPT = WAYS.filter((way) => way.script);

async function knows(way, name) {
  const login = `${name}-${way.name}`;
  const email = `${login}@weber.example`;
  await isKnownAt('corp', login, { name: `${name} Weber`, email, email_verified: true });
  return { login, email };
}

async function signsIn(page, login) {
  await page.locator('input[name=login]').fill(login);
  await page.locator('input[name=password]').fill('any');
  await page.getByRole('button').first().click();
}

const stored = (page, key) => page.evaluate((name) => localStorage.getItem(name), key);
const claims = (token) => JSON.parse(Buffer.from(token.split('.')[1], 'base64url').toString());

// No token in an address, whoever asks for what.
function watches(page) {
  const seen = [];
  page.on('request', (request) => seen.push(request.url()));
  return (token) => assert.deepEqual(seen.filter((url) => url.includes(token)), []);
}

journey('Anna is signed in to ThingsBoard, and signs out of it', WITH_SCRIPT, async (page, way, look) => {
  const { login, email } = await knows(way, 'anna');
  const isInNoAddress = watches(page);
  await page.goto(`${origin}${DEEP_LINK}#chart`);
  await signsIn(page, login);
  await heading(page, 'Set up your account');
  await registers(page, 'Personal');
  await heading(page, `Hello ${email}`);
  assert.equal(page.url(), `${origin}${DEEP_LINK}#chart`);
  const token = await stored(page, 'jwt_token');
  isInNoAddress(token);
  const { userId, scopes } = claims(token);
  assert.deepEqual(scopes, ['CUSTOMER_USER']);
  await page.getByText(`live: ${userId}`).waitFor();

  // Its token is over: it renews by itself, and the gateway answers.
  await page.evaluate(() => localStorage.setItem('jwt_token_expiration', '0'));
  await page.getByRole('button', { name: 'Ask' }).click();
  await page.getByText('asked: 200').waitFor();
  assert.deepEqual(claims(await stored(page, 'refresh_token')).scopes, undefined);
  await page.reload();
  await heading(page, `Hello ${email}`);

  await page.getByRole('button', { name: 'Log out' }).click();
  await heading(page, 'Log in to ThingsBoard');
  assert.equal(await stored(page, 'jwt_token'), null);
  await page.getByRole('link', { name: 'Login with Acme' }).click();
  await page.locator('input[name=login]').waitFor();
});

journey('The next one in the same browser is somebody else', WITH_SCRIPT, async (page, way) => {
  const first = await knows(way, 'carla');
  await page.goto(`${origin}/home`);
  await signsIn(page, first.login);
  await registers(page, 'Personal');
  await heading(page, `Hello ${first.email}`);
  const left = await stored(page, 'jwt_token');
  // Only the gateway forgets her; what ThingsBoard's pages keep stays behind.
  await page.context().clearCookies();
  const next = await knows(way, 'dario');
  await page.goto(`${origin}/home`);
  await signsIn(page, next.login);
  await registers(page, 'Personal');
  await heading(page, `Hello ${next.email}`);
  assert.notEqual(await stored(page, 'jwt_token'), left);
});

journey('A session that ended leads back through the login', WITH_SCRIPT, async (page, way) => {
  const { login, email } = await knows(way, 'elena');
  await page.goto(origin + DEEP_LINK);
  await signsIn(page, login);
  await registers(page, 'Personal');
  await heading(page, `Hello ${email}`);
  await page.context().clearCookies({ name: '__Host-vestibule' });
  await page.getByRole('button', { name: 'Ask' }).click();
  await heading(page, 'Log in to ThingsBoard');
  await page.getByRole('link', { name: 'Login with Acme' }).click();
  await page.waitForURL((url) => url.href === origin + DEEP_LINK);
  await heading(page, `Hello ${email}`);
});
