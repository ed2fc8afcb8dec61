// The checks for robots, as people meet them: the gateway's own, which does itself, and a vendor's,
// whose script and frames a server of the tests has. VESTIBULE_CAPTCHAS holds the gateways: what
// their forms ask for, their origins and metrics, and the mail server.

import assert from 'node:assert/strict';
import { journey, WAYS } from './chromium.mjs';
import { heading } from './people.mjs';

const { gateways, mailbox } = JSON.parse(process.env.VESTIBULE_CAPTCHAS ?? '{}');
if (!gateways) throw new Error('VESTIBULE_CAPTCHAS is not set: the gateway tests set it');

const SEND = 'Send me the link';

async function counted(gateway, outcome) {
  const text = await (await fetch(gateway.metrics)).text();
  const line = text.split('\n').find((one) => one.startsWith(`vestibule_captchas_total{outcome="${outcome}"`));
  return Number(line?.split(' ')[1] ?? 0);
}

async function hasLetter(address) {
  for (let tries = 0; tries < 100; tries += 1) {
    const letters = await (await fetch(mailbox)).json();
    if (letters.some(({ to }) => to.includes(address))) return;
    await new Promise((waited) => setTimeout(waited, 100));
  }
  throw new Error(`nothing was mailed to ${address}`);
}

// Opens the page, and sends the form as this person does; the letter comes, and is counted so.
async function asks(kind, page, way, look, does) {
  const gateway = gateways[kind];
  const outcome = way.script ? 'solved' : 'unchecked';
  const before = await counted(gateway, outcome);
  const address = `${kind}-${way.name}@example.org`;
  await page.goto(`${gateway.origin}/auth/register/email`);
  await page.getByLabel('Your e-mail address').fill(address);
  await does(gateway);
  await page.getByRole('button', { name: SEND }).click();
  await heading(page, 'Look into your mailbox');
  await hasLetter(address);
  assert.equal(await counted(gateway, outcome), before + 1);
}

const NARROW = { name: 'narrow', width: 320, height: 640, script: true };
const ALL = [...WAYS, NARROW];

journey('the browser works by itself', ALL, async (page, way, look) => {
  await asks('proof-of-work', page, way, look, async () => {
    if (way.script) await page.getByText('Checked').waitFor();
    await look('captcha-work');
  });
});

journey('a form that is sent before the work is done waits for it', [WAYS[1]], async (page, way, look) => {
  await asks('proof-of-work', page, way, look, async () => {});
});

journey('somebody ticks the box of a vendor', ALL, async (page, way, look) => {
  await asks('recaptcha-v2', page, way, look, async () => {
    const group = page.getByRole('group', { name: 'Check that you are not a robot' });
    if (!way.script) {
      assert.equal(await group.count(), 0, 'there is nothing to tick');
      return;
    }
    await group.waitFor();
    const box = page.frameLocator('iframe[title=reCAPTCHA]').getByRole('checkbox');
    await box.waitFor();
    await look('captcha-box');
    await page.getByRole('button', { name: SEND }).click();
    await page.getByText('The check is not finished').waitFor();
    await look('captcha-forgotten');
    await box.check();
    await page.waitForFunction(() => document.querySelector('[name=g-recaptcha-response]').value);
  });
});

journey('somebody cannot do the check and goes on without it', [WAYS[1]], async (page, way, look) => {
  const gateway = gateways['recaptcha-v2'];
  const before = await counted(gateway, 'unchecked');
  await page.goto(`${gateway.origin}/auth/password`);
  await page.getByLabel('Your e-mail address').fill('blind@example.org');
  await page.frameLocator('iframe[title=reCAPTCHA]').getByRole('checkbox').waitFor();
  const send = page.getByRole('button', { name: SEND });
  await send.click();
  await page.getByText('The check is not finished').waitFor();
  await send.click();
  await heading(page, 'Look into your mailbox');
  await look('captcha-without');
  assert.equal(await counted(gateway, 'unchecked'), before + 1);
});

journey('a vendor gives somebody a score', ALL, async (page, way, look) => {
  await asks('recaptcha-v3', page, way, look, () => look('captcha-score'));
});

journey('the script of a vendor does not come', [WAYS[0]], async (page, way, look) => {
  for (const kind of ['recaptcha-v2', 'recaptcha-v3']) {
    const gateway = gateways[kind];
    await page.route('**/recaptcha/api.js*', (route) => route.fulfill({ status: 404, body: '' }));
    const before = await counted(gateway, 'unchecked');
    await page.goto(`${gateway.origin}/auth/register/email`);
    await page.getByLabel('Your e-mail address').fill(`behind-a-wall-${kind}@example.org`);
    await page.locator('#captcha').waitFor({ state: 'hidden' });
    await look(`captcha-no-script-${kind}`);
    await page.getByRole('button', { name: SEND }).click();
    await heading(page, 'Look into your mailbox');
    assert.equal(await counted(gateway, 'unchecked'), before + 1);
  }
});
