// Debian's Chromium, driven by Playwright: with and without JavaScript, on a phone and on a desk.
// Every page that a test asks to see is checked by axe and kept as a picture in .test/screenshots.

import assert from 'node:assert/strict';
import { existsSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { after, test } from 'node:test';
import { AxeBuilder } from '@axe-core/playwright';
import { chromium } from 'playwright-core';

const PICTURES = join(dirname(fileURLToPath(import.meta.url)), '../../.test/screenshots');
const PROGRAMS = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

export const WAYS = [
  { name: 'phone', width: 390, height: 844, script: true },
  { name: 'desk', width: 1280, height: 900, script: true },
  { name: 'phone-without-script', width: 390, height: 844, script: false },
  { name: 'desk-without-script', width: 1280, height: 900, script: false },
];

const browser = await chromium.launch({
  executablePath: PROGRAMS.find(existsSync),
  args: [
    '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync',
  ],
});

// One test for each way of looking; each has a browser profile of its own.
export function journey(name, ways, walk) {
  for (const way of ways) {
    test(`${name} (${way.name})`, async () => {
      const context = await browser.newContext({
        viewport: { width: way.width, height: way.height },
        javaScriptEnabled: way.script,
        colorScheme: way.dark ? 'dark' : 'light',
        locale: way.locale ?? 'en-GB',
        reducedMotion: 'reduce',
      });
      await context.route(isElsewhere, (route) => route.fulfill({ body: '' }));
      try {
        const page = await context.newPage();
        page.setDefaultTimeout(20_000);
        const complaints = listen(page);
        await walk(page, way, (picture, other) => look(other ?? page, way, `${picture}-${way.name}`));
        assert.deepEqual(complaints, [], 'the browser complained');
      } finally {
        await context.close();
      }
    });
  }
}

// Nothing leaves this machine: the pages of other people's servers ask for fonts.
const isElsewhere = ({ hostname }) => !['localhost', '127.0.0.1'].includes(hostname);

// What the browser itself finds wrong: content policy, missing files, scripts that throw.
function listen(page) {
  const complaints = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => {
    const text = message.text();
    const isAnswer = text.startsWith('Failed to load resource: the server responded with a status of 4');
    if (message.type() === 'error' && !isAnswer) complaints.push(text);
  });
  return complaints;
}

// Keeps a picture, holds the page against axe and against sideways scrolling.
async function look(page, way, picture) {
  mkdirSync(PICTURES, { recursive: true });
  await page.screenshot({ path: join(PICTURES, `${picture}.png`), fullPage: true });
  if (!way.script) return;
  const { violations } = await new AxeBuilder({ page }).withTags(RULES).analyze();
  const found = violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map((node) => node.html)}`);
  assert.deepEqual(found, [], `axe on ${page.url()}`);
  const overflow = await page.evaluate(
    () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
  );
  assert.ok(overflow <= 0, `${page.url()} scrolls sideways by ${overflow} px`);
}

after(() => browser.close());
