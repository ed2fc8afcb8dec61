// The journeys of those whom no identity provider brings, or whom somebody has to let in, on a real
// gateway between a platform, a certified OpenID provider and a mail server. Each way of looking has
// people of its own, so that all are new.

import assert from 'node:assert/strict';
import { journey, WAYS } from './chromium.mjs';
import { heading, ticks } from './people.mjs';
import * as setUp from './set_up.mjs';

const { origin } = setUp;
const DEEP_LINK = '/things/17?tab=values';
const PASSWORD = 'violet tractor umbrella';
// One network has few letters an hour without a check of the browser.
const FEW_WITHOUT_SCRIPT = WAYS.slice(0, 3);

const addressOf = (name, way) => `${name}-${way.name}@ferraro.example`;

async function arrives(page) {
  await page.waitForURL(origin + DEEP_LINK);
  await heading(page, 'The platform');
}

async function hasProblem(page) {
  await page.getByRole('heading', { name: 'There is a problem' }).waitFor();
}

// From the login page to the form, by the link that is mailed to an address.
async function comesByMail(page, way, email) {
  await page.goto(origin + DEEP_LINK);
  await page.getByRole('link', { name: 'Create new account' }).click();
  await page.getByLabel('Your e-mail address').fill(email);
  if (way.script) await page.getByText('Checked').waitFor();
  await page.getByRole('button', { name: 'Send me the link' }).click();
  await heading(page, 'Look into your mailbox');
  await page.goto(await setUp.mailedLink(email, '/auth/register/link'));
  await page.getByRole('button', { name: 'Yes, continue' }).click();
  await heading(page, 'Set up your account');
}

async function comesByProvider(page, login) {
  await page.goto(origin + DEEP_LINK);
  await page.getByRole('link', { name: 'Provider corp' }).click();
  await page.getByPlaceholder('Enter any login').fill(login);
  await page.getByPlaceholder('and password').fill('any');
  await page.getByRole('button', { name: 'Sign-in' }).click();
}

async function accepts(page) {
  await ticks(page.getByRole('checkbox'));
}

async function signsIn(page, email, password) {
  await page.context().clearCookies();
  await page.goto(origin + DEEP_LINK);
  await page.getByLabel('E-mail address').fill(email);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

async function userOf(email) {
  const users = await setUp.inPlatform('users');
  return users.find((user) => user.email === email);
}

journey('a company registers by mail, answers what only some are asked, and is approved', WAYS, async (page, way, look) => {
  const email = addressOf('giulia', way);
  await comesByMail(page, way, email);
  await page.getByText('looks at some kinds of account first').waitFor();
  await page.locator('label[for=account-type-business]').click();
  await page.getByLabel('Full name').fill('Giulia Ferraro');
  await page.getByLabel('Company name').fill(`Ferraro ${way.name}`);
  await page.getByLabel('Country').selectOption('IT');
  await page.getByLabel('Password').fill(PASSWORD);
  await accepts(page);
  await page.getByRole('button', { name: 'Create account' }).click();
  await hasProblem(page);
  await page.getByText('There is one more question: Tax code').first().waitFor();
  await look(`${setUp.name}-one-more-question`);
  await page.getByLabel('Tax code').fill('FRRGLI80A41L378X');
  // A password is never sent back to the page.
  await page.getByLabel('Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Create account' }).click();
  await heading(page, /will look at your registration$/);
  await look(`${setUp.name}-waiting-for-the-back-office`);
  assert.equal(await userOf(email), undefined, 'nothing is made before somebody says so');

  const { items } = await setUp.asOperator('registrations?state=awaiting_approval');
  const { id } = items.find((one) => one.email === email);
  await setUp.asOperator(`registrations/${id}/approve`, {});
  await arrives(page);
  assert.equal((await userOf(email)).account_type, 'business');
  await signsIn(page, email, PASSWORD);
  await arrives(page);
});

journey('somebody registers by mail with a code of a partner', FEW_WITHOUT_SCRIPT, async (page, way, look) => {
  const email = addressOf('jonas', way);
  const code = `INST-${way.name}`;
  await setUp.addToPlatform('partners', { name: `Installers ${way.name}`, code });
  await comesByMail(page, way, email);
  await page.locator('label[for=account-type-partner]').click();
  await page.getByLabel('Full name').fill('Jonas Weber');
  await page.getByLabel('Password').fill(PASSWORD);
  await page.getByLabel('Partner code').fill('INST-0000');
  await accepts(page);
  await page.getByRole('button', { name: 'Create account' }).click();
  await hasProblem(page);
  await look(`${setUp.name}-wrong-partner-code`);
  await page.getByLabel('Partner code').fill(code);
  await page.getByLabel('Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Create account' }).click();
  await arrives(page);
  assert.equal((await userOf(email)).customer, null);
});

journey('somebody whom the back office made chooses a password and puts right what is known', FEW_WITHOUT_SCRIPT, async (page, way, look) => {
  const email = addressOf('marta', way);
  const customer = await setUp.addToPlatform('customers', { account_type: 'personal', name: `Marta ${way.name}` });
  await setUp.addToPlatform('users', {
    email, name: 'Marta Ferraro', account_type: 'personal', customer, password: 'as the back office set it',
    fields: { phone: '+390461234567' },
  });
  await page.goto(origin + DEEP_LINK);
  await page.getByRole('link', { name: 'Forgotten your password?' }).click();
  await page.getByLabel('Your e-mail address').fill(email);
  if (way.script) await page.getByText('Checked').waitFor();
  await page.getByRole('button', { name: 'Send me the link' }).click();
  await heading(page, 'Look into your mailbox');
  await page.goto(await setUp.mailedLink(email, '/auth/password'));
  await page.getByLabel('New password').fill(PASSWORD);
  await look(`${setUp.name}-new-password`);
  await page.getByRole('button', { name: 'Save password' }).click();
  await page.getByText('Your new password counts from now on').waitFor();
  await signsIn(page, email, PASSWORD);
  await heading(page, 'Please read and accept');
  await accepts(page);
  await page.getByRole('button', { name: 'Accept and continue' }).click();
  await heading(page, 'Is this still right?');
  await look(`${setUp.name}-verify`);
  await page.getByLabel('Phone number').fill('12');
  await page.getByRole('button', { name: 'Confirm and continue' }).click();
  await hasProblem(page);
  await look(`${setUp.name}-verify-problem`);
  await page.getByLabel('Phone number').fill('+39 0461 765432');
  await page.getByRole('button', { name: 'Confirm and continue' }).click();
  await arrives(page);
  await signsIn(page, email, PASSWORD);
  await arrives(page);
});

journey('a colleague asks to join and an administrator decides by the mailed link', WAYS, async (page, way, look) => {
  const code = `HLH-${way.name}`;
  const boss = addressOf('amara', way);
  const customer = await setUp.addToPlatform('customers', {
    account_type: 'business', name: `Harbour Lights ${way.name}`, code,
  });
  await setUp.addToPlatform('users', {
    email: boss, name: 'Amara Okafor', account_type: 'business', customer, administrator: true,
  });
  const email = addressOf('kwame', way);
  await setUp.isKnownAt('corp', `kwame-${way.name}`, {
    name: 'Kwame Mensah', email, email_verified: true, organization_code: code,
  });
  await comesByProvider(page, `kwame-${way.name}`);
  await heading(page, 'Set up your account');
  await look(`${setUp.name}-ask-to-join`);
  await accepts(page);
  await page.getByRole('button', { name: 'Ask to join' }).click();
  await heading(page, `We have asked Harbour Lights ${way.name}`);
  await look(`${setUp.name}-asked`);
  const administrator = await page.context().newPage();
  await administrator.goto(await setUp.mailedLink(boss, '/auth/register/approval'));
  await look(`${setUp.name}-decide`, administrator);
  await administrator.getByRole('button', { name: 'Approve' }).click();
  await heading(administrator, 'Approved');
  await administrator.close();
  await arrives(page);
  assert.equal((await userOf(email)).customer, customer);
});

journey('somebody is invited, and the address that was named joins', WAYS, async (page, way, look) => {
  const email = addressOf('ines', way);
  const customer = await setUp.addToPlatform('customers', { account_type: 'business', name: `Guests ${way.name}` });
  await setUp.isKnownAt('corp', `ines-${way.name}`, { name: 'Ines Gast', email, email_verified: true });
  await setUp.asOperator('invitations', { email, customer });
  await page.goto(await setUp.mailedLink(email, '/auth/register/invitation'));
  await heading(page, `You are invited to Guests ${way.name}`);
  await look(`${setUp.name}-invitation`);
  await comesByProvider(page, `ines-${way.name}`);
  await page.getByText(`You are invited to Guests ${way.name}. Your account will belong to it.`).waitFor();
  await accepts(page);
  await page.getByRole('button', { name: 'Create account' }).click();
  await arrives(page);
  assert.equal((await userOf(email)).customer, customer);
});
