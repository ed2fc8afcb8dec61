// The journeys of somebody who signs in, on a real gateway between a certified OpenID provider, a
// platform and a mail server. Each way of looking has people of its own, so that all are new.

import assert from 'node:assert/strict';
import { journey, WAYS } from './chromium.mjs';
import { heading, registers } from './people.mjs';
import * as setUp from './set_up.mjs';

const { origin } = setUp;
const DEEP_LINK = '/things/17?tab=values#chart';

// Asks for a page and signs in at a provider on the way. The page before must not be the same one,
// or else the browser only moves to the fragment.
async function comesAs(page, login, provider = 'corp', path = DEEP_LINK) {
  await page.goto('about:blank');
  await page.goto(origin + path);
  await page.getByRole('link', { name: `Provider ${provider}` }).click();
  await page.getByPlaceholder('Enter any login').fill(login);
  await page.getByPlaceholder('and password').fill('any');
  await page.getByRole('button', { name: 'Sign-in' }).click();
}

// Without a script the fragment may be lost, everything else may not.
async function arrives(page, way, path = DEEP_LINK) {
  const [wanted] = path.split('#');
  await page.waitForURL(({ href }) => href === origin + path || (!way.script && href === origin + wanted));
  await heading(page, 'The platform');
}

async function isRefusedAsApi(page) {
  const answer = await page.request.get(`${origin}/api/things`, { headers: { accept: 'application/json' } });
  assert.equal(answer.status(), 403);
  assert.equal((await answer.json()).code, 'registration_required');
}

const newPerson = (way, name, further) => ({
  login: `${name.toLowerCase()}-${way.name}`,
  claims: { name: `${name} Ferraro`, email: `${name.toLowerCase()}-${way.name}@ferraro.example`, email_verified: true, ...further },
});

journey('somebody new registers, comes back, and signs out here and at the provider', WAYS, async (page, way, look) => {
  const { login, claims } = newPerson(way, 'Giulia', { phone_number: '+390461234567' });
  await setUp.isKnownAt('corp', login, claims);
  await page.goto(origin + DEEP_LINK);
  await look(`${setUp.name}-providers`);
  await comesAs(page, login);
  await heading(page, 'Set up your account');
  await look(`${setUp.name}-registration`);
  await isRefusedAsApi(page);
  await registers(page, 'Business');
  await arrives(page, way);

  await page.context().clearCookies();
  await comesAs(page, login);
  await arrives(page, way);

  await page.goto(`${origin}/auth/logout`);
  await look(`${setUp.name}-logout`);
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByRole('button', { name: 'Yes, sign me out' }).click();
  await heading(page, 'You are signed out');
  await look(`${setUp.name}-logged-out`);
  await comesAs(page, login);
  await arrives(page, way);
});

journey('somebody whose provider has no way out signs out here', WAYS, async (page, way) => {
  const { login, claims } = newPerson(way, 'Marta');
  await setUp.isKnownAt('partners', login, claims);
  await comesAs(page, login, 'partners');
  await heading(page, 'Set up your account');
  await registers(page, 'Personal');
  await arrives(page, way);
  await page.goto(`${origin}/auth/logout`);
  await page.getByRole('button', { name: 'Sign out' }).click();
  await heading(page, 'You are signed out');
  const answer = await page.request.get(`${origin}/api/things`);
  assert.equal(answer.status(), 401);
  await page.goto(origin + DEEP_LINK);
  await page.getByRole('link', { name: 'Provider partners' }).waitFor();
});

journey('somebody of a known customer joins it', WAYS, async (page, way, look) => {
  const code = `CODE-${way.name}`;
  const customer = await setUp.addToPlatform('customers', {
    account_type: 'business', name: `Harbour Lights ${way.name}`, code,
  });
  const { login, claims } = newPerson(way, 'Amara', { organization_code: code });
  await setUp.isKnownAt('corp', login, claims);
  await comesAs(page, login);
  await page.getByText(`Your account will belong to Harbour Lights ${way.name}.`).waitFor();
  await look(`${setUp.name}-joining`);
  await registers(page, 'Business');
  await arrives(page, way);
  const users = await setUp.inPlatform('users');
  assert.equal(users.find(({ email }) => email === claims.email).customer, customer);
});

journey('staff are kept out', WAYS, async (page, way, look) => {
  const { login, claims } = newPerson(way, 'Priya', { groups: ['staff'] });
  await setUp.isKnownAt('corp', login, claims);
  await comesAs(page, login);
  await heading(page, 'This sign-in is not for customers');
  await look(`${setUp.name}-staff`);
  const users = await setUp.inPlatform('users');
  assert.ok(!users.some(({ email }) => email === claims.email));
});

journey('somebody proves by mail that an existing account is theirs', WAYS, async (page, way, look) => {
  const { login, claims } = newPerson(way, 'Tomas');
  await setUp.isKnownAt('corp', login, claims);
  const customer = await setUp.addToPlatform('customers', { account_type: 'personal', name: claims.name });
  const user = await setUp.addToPlatform('users', {
    email: claims.email, name: claims.name, account_type: 'personal', customer,
  });
  await comesAs(page, login);
  await heading(page, 'Connect your existing account');
  await look(`${setUp.name}-prove`);
  await page.getByRole('button', { name: 'E-mail me a code' }).click();
  await page.getByLabel('Code from the e-mail').fill(await setUp.mailedCode(claims.email));
  await look(`${setUp.name}-code`);
  await page.getByRole('button', { name: 'Connect account' }).click();
  await heading(page, 'Please read and accept');
  await look(`${setUp.name}-accept`);
  for (const box of await page.getByRole('checkbox').all()) {
    await box.check();
  }
  await page.getByRole('button', { name: 'Accept and continue' }).click();
  await arrives(page, way);
  const users = await setUp.inPlatform('users');
  assert.deepEqual(users.filter(({ email }) => email === claims.email).map(({ id }) => id), [user]);
});
