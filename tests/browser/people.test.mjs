// What the people of the demo see, from the page they ask for to the page they get.

import assert from 'node:assert/strict';
import { appendFileSync } from 'node:fs';
import { journey, WAYS } from './chromium.mjs';
import { demoFor, mailedCode } from './demo.mjs';
import { heading, registers } from './people.mjs';

const DEEP_LINK = '/things/17?tab=values#chart';

async function comesAs(page, origin, name, path = DEEP_LINK) {
  await page.goto(origin + path);
  await page.getByRole('heading', { name: 'Who would you like to be?' }).waitFor();
  await page.getByRole('button', { name }).click();
}

// Without a script the fragment may be lost, everything else may not.
async function arrives(page, origin, way, path = DEEP_LINK) {
  const wanted = way.script ? path : path.split('#')[0];
  await page.waitForURL((url) => url.href.startsWith(origin + wanted));
}

journey('Amara has an account and goes straight through', WAYS, async (page, way, look) => {
  const { origin } = await demoFor(way);
  await page.goto(origin + DEEP_LINK);
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
  await heading(page, 'Who would you like to be?');
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
  for (const box of await page.getByRole('checkbox').all()) {
    await box.check();
  }
  await page.getByRole('button', { name: 'Accept and continue' }).click();
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
