// What the people of the demo see, from the page they ask for to the page they get.

import assert from 'node:assert/strict';
import { appendFileSync } from 'node:fs';
import { journey, WAYS } from './chromium.mjs';
import { demoFor, mailedCode } from './demo.mjs';
import { heading, registers } from './people.mjs';

const DEEP_LINK = '/things/17?tab=values#chart';

async function comesAs(page, origin, name, path = DEEP_LINK) {
  await page.goto(origin + path);
  await page.getByRole('link', { name: 'Lighthouse ID' }).or(page.locator('a[href*="/lighthouse"]')).first().click();
  await page.getByRole('heading', { name: 'Who would you like to be?' }).waitFor();
  await page.getByRole('button', { name }).click();
}

// Without a script the fragment may be lost, everything else may not.
async function arrives(page, origin, way, path = DEEP_LINK) {
  const wanted = way.script ? path : path.split('#')[0];
  await page.waitForURL((url) => url.href.startsWith(origin + wanted));
}

async function accepts(page) {
  for (const box of await page.getByRole('checkbox').all()) await box.check();
  await page.getByRole('button', { name: 'Accept and continue' }).click();
}

journey('Amara has an account and goes straight through', WAYS, async (page, way, look) => {
  const { origin } = await demoFor(way);
  await page.goto(origin + DEEP_LINK);
  await look('login');
  await page.getByRole('link', { name: 'Lighthouse ID' }).click();
  await look('people-to-be');
  await page.getByRole('button', { name: 'Amara Okafor' }).click();
  await arrives(page, origin, way);
  await look('platform');
  await page.goto(`${origin}/me`);
  await page.getByText('amara.okafor@harbour-lights.example').first().waitFor();
  await page.goto(`${origin}/auth/logout`);
  await look('logout');
  await page.getByRole('button', { name: 'Sign out' }).click();
  await heading(page, /signed out/i);
  await look('logged-out');
  await page.goto(origin + DEEP_LINK);
  await heading(page, /^Sign in/);
});

const REGISTRATION = [
  ...WAYS,
  { name: 'dark', width: 1280, height: 900, script: true, dark: true },
  { name: 'narrow', width: 320, height: 640, script: true },
];

journey('Giulia is new and registers with what is known of her', REGISTRATION, async (page, way, look) => {
  const { origin } = await demoFor(way);
  await comesAs(page, origin, 'Giulia Ferraro');
  await heading(page, 'Set up your account');
  await look('registration');
  await page.getByRole('button', { name: 'Create account' }).click();
  await page.getByRole('heading', { name: 'There is a problem' }).waitFor();
  await look('registration-errors');
  if (way.script) {
    const focus = await page.evaluate(() => document.activeElement.getAttribute('role'));
    assert.equal(focus, 'alert', 'the summary of mistakes has the focus');
  }
  await registers(page, 'Business');
  await arrives(page, origin, way);
});

journey('Jonas is new and is asked for more', WAYS, async (page, way, look) => {
  const { origin } = await demoFor(way);
  await comesAs(page, origin, 'Jonas Weber');
  await heading(page, 'Set up your account');
  await look('registration-bare');
  await registers(page, 'Personal');
  await arrives(page, origin, way);
});

journey('Priya is staff and is kept out', WAYS, async (page, way, look) => {
  const { origin } = await demoFor(way);
  await comesAs(page, origin, 'Priya Raman');
  const wayOn = page.getByRole('button', { name: /another account/ });
  await wayOn.or(page.getByRole('link', { name: /another account/ })).first().waitFor();
  await look('staff');
  assert.doesNotMatch(await page.title(), /Set up/);
});

journey('Tomáš proves that the existing account is his', WAYS, async (page, way, look) => {
  const demo = await demoFor(way);
  await comesAs(page, demo.origin, 'Tomáš Novák');
  await heading(page, 'Connect your existing account');
  await look('prove');
  await page.getByRole('button', { name: 'E-mail me a code' }).click();
  await page.getByLabel('Code from the e-mail').fill('00000000');
  await page.getByRole('button', { name: 'Connect account' }).click();
  await page.getByRole('heading', { name: 'There is a problem' }).waitFor();
  await look('prove-wrong-code');
  await page.getByLabel('Code from the e-mail').fill(await mailedCode(demo));
  await page.getByRole('button', { name: 'Connect account' }).click();
  await heading(page, 'Please read and accept');
  await look('accept');
  await page.getByRole('button', { name: 'Accept and continue' }).click();
  await page.getByRole('heading', { name: 'There is a problem' }).waitFor();
  await look('accept-not-ticked');
  await accepts(page);
  await arrives(page, demo.origin, way);
});

journey('a path in doubt gets a page that leads on', WAYS, async (page, way, look) => {
  const { origin } = await demoFor(way);
  const answer = await page.goto(`${origin}/things//17`);
  assert.equal(answer.status(), 400);
  await look('refused');
});

for (const locale of ['it-IT', 'de-DE']) {
  const ways = [{ ...WAYS[1], name: locale, locale }];
  journey(`pages speak ${locale}`, ways, async (page, way, look) => {
    const { origin } = await demoFor(way);
    await comesAs(page, origin, 'Jonas Weber');
    await page.locator('form[action="/auth/register"]').waitFor();
    assert.equal(await page.locator('html').getAttribute('lang'), locale.slice(0, 2));
    await look('registration');
  });
}

journey('an agreement changes while Amara is signed in', WAYS, async (page, way, look) => {
  const { origin, terms } = await demoFor(way);
  await comesAs(page, origin, 'Amara Okafor');
  await arrives(page, origin, way);
  appendFileSync(terms, '\nAnd be careful.\n');
  for (let tries = 0; tries < 50 && !page.url().includes('/auth/accept'); tries += 1) {
    await page.waitForTimeout(100);
    await page.goto(`${origin}/status`);
    await page.goto(origin + DEEP_LINK);
  }
  await heading(page, 'Please read and accept');
  await look('agreement-changed');
  await page.getByRole('checkbox').check();
  await page.getByRole('button', { name: 'Accept and continue' }).click();
  await arrives(page, origin, way);
});

const PASSWORD = 'violet tractor umbrella';

async function signsInLocally(page, email, password) {
  await page.getByLabel('E-mail address').fill(email);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

journey('Nadia has no account anywhere and registers by a mailed link', WAYS, async (page, way, look) => {
  const { origin, mailbox } = await demoFor(way);
  const email = `nadia-${way.name}@example.org`;
  await page.goto(origin + DEEP_LINK);
  await page.getByRole('link', { name: 'Create new account' }).click();
  await heading(page, 'Create your account');
  await page.getByRole('button', { name: 'Send me the link' }).click();
  await page.getByRole('heading', { name: 'There is a problem' }).waitFor();
  await look('signup-error');
  await page.getByLabel('Your e-mail address').fill(email);
  if (way.script) await page.getByText('Checked').waitFor();
  await look('signup');
  await page.getByRole('button', { name: 'Send me the link' }).click();
  await heading(page, 'Look into your mailbox');
  await look('signup-sent');

  // The letter is read in another tab.
  const letters = await page.context().newPage();
  await letters.goto(mailbox);
  const letter = letters.getByRole('article').filter({ hasText: email });
  for (let tries = 0; tries < 50 && (await letter.count()) === 0; tries += 1) {
    await letters.waitForTimeout(200);
    await letters.reload();
  }
  await look('mailbox', letters);
  const link = await letter.first().getByRole('link').first().getAttribute('href');
  await letters.close();
  await page.goto(link);
  await heading(page, 'Is this your address?');
  await look('signup-link');
  await page.getByRole('button', { name: 'Yes, continue' }).click();
  await heading(page, 'Set up your account');
  await page.getByLabel('Full name').fill('Nadia Haddad');
  await page.getByLabel('Password').fill('nadia haddad');
  await registers(page, 'Personal');
  await page.getByRole('heading', { name: 'There is a problem' }).waitFor();
  await look('signup-weak-password');
  await page.getByLabel('Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Create account' }).click();
  await arrives(page, origin, way);

  await page.context().clearCookies();
  await page.goto('about:blank');
  await page.goto(origin + DEEP_LINK);
  await signsInLocally(page, email, 'not this one');
  await page.getByRole('heading', { name: 'There is a problem' }).waitFor();
  await look('login-wrong-password');
  await signsInLocally(page, email, PASSWORD);
  await arrives(page, origin, way, '/things/17?tab=values');
});

journey('Tomáš has forgotten his password and chooses another', WAYS, async (page, way, look) => {
  const { origin, mailbox } = await demoFor(way);
  const email = 'tomas.novak@novak-chlazeni.example';
  await page.goto(`${origin}/things`);
  await page.getByRole('link', { name: 'Forgotten your password?' }).click();
  await heading(page, 'Choose a new password');
  await page.getByLabel('Your e-mail address').fill(email);
  await look('forgotten');
  await page.getByRole('button', { name: 'Send me the link' }).click();
  await heading(page, 'Look into your mailbox');
  const letters = await page.context().newPage();
  await letters.goto(mailbox);
  const letter = letters.getByRole('article').filter({ hasText: 'A new password' });
  for (let tries = 0; tries < 50 && (await letter.count()) === 0; tries += 1) {
    await letters.waitForTimeout(200);
    await letters.reload();
  }
  const link = await letter.first().getByRole('link').first().getAttribute('href');
  await letters.close();
  await page.goto(link);
  await page.getByLabel('New password').fill(PASSWORD);
  await look('new-password');
  await page.getByRole('button', { name: 'Save password' }).click();
  await page.getByText('Your new password counts from now on').waitFor();
  await look('new-password-saved');
  await signsInLocally(page, email, PASSWORD);
  // The agreements may have been accepted in an earlier journey of the same demo.
  const isLeaving = (url) => !url.pathname.startsWith('/auth/');
  await page.waitForURL((url) => url.pathname === '/auth/accept' || isLeaving(url));
  if (!isLeaving(new URL(page.url()))) await accepts(page);
  await page.waitForURL(isLeaving);
});
