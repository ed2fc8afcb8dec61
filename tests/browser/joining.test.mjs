// Partners by code, a colleague who asks to join, and the administrator who decides.

import assert from 'node:assert/strict';
import { journey, WAYS } from './chromium.mjs';
import { demoFor, mailedLink } from './demo.mjs';

const DEEP_LINK = '/things/17?tab=values';
const AMARA = 'amara.okafor@harbour-lights.example';

const heading = (page, name) => page.getByRole('heading', { name, level: 1 }).waitFor();

async function comesAs(page, origin, name) {
  await page.goto(origin + DEEP_LINK);
  await page.getByRole('link', { name: 'Lighthouse ID' }).or(page.locator('a[href*="/lighthouse"]')).first().click();
  await page.getByRole('button', { name }).click();
}

// As a person does: by its label, which lies over the box.
async function choose(page, id) {
  await page.locator(`label[for="${id}"]`).click();
}

async function accepts(page) {
  for (const box of await page.getByRole('checkbox').all()) {
    await choose(page, await box.getAttribute('id'));
  }
}

journey('Jonas gives a partner code', WAYS, async (page, way, look) => {
  const { origin } = await demoFor(way);
  await comesAs(page, origin, 'Jonas Weber');
  await heading(page, 'Set up your account');
  await choose(page, 'account-type-partner');
  assert.equal(await page.locator('input[name=partner_code]').isVisible(), true);
  assert.equal(await page.locator('input[name=company]').isVisible(), false);
  await look('partner');
  await page.getByLabel('Partner code').fill('INST-0000');
  await accepts(page);
  await page.getByRole('button', { name: 'Create account' }).click();
  await page.getByRole('heading', { name: 'There is a problem' }).waitFor();
  await look('partner-wrong-code');
  await page.getByLabel('Partner code').fill('INST-7741');
  await page.getByRole('button', { name: 'Create account' }).click();
  await page.waitForURL((url) => url.href.startsWith(origin + DEEP_LINK));
});

journey('Kwame asks to join and Amara approves', WAYS, async (page, way, look) => {
  const demo = await demoFor(way);
  await comesAs(page, demo.origin, 'Kwame Mensah');
  await heading(page, 'Set up your account');
  await look('ask-to-join');
  await accepts(page);
  await page.getByRole('button', { name: 'Ask to join' }).click();
  await heading(page, 'We have asked Harbour Lights Hotels Ltd');
  await look('waiting');
  const link = await mailedLink(demo, AMARA, '/auth/register/approval');
  const waiting = page.url();
  // The link needs no login, so that the same window can open it.
  await page.goto(link);
  await look('approval');
  await page.getByRole('button', { name: 'Approve' }).click();
  await heading(page, 'Approved');
  await look('approval-approved');
  await page.goto(link);
  await heading(page, 'This request is already answered');
  await look('approval-before');
  await page.goto(waiting);
  await page.waitForURL((url) => url.href.startsWith(demo.origin + DEEP_LINK), { timeout: 30_000 });
});
