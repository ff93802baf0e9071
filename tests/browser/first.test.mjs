// The first user of an empty server, made on the page with the code that the server printed.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, openPage } from './lib/browser.mjs';
import { Server } from './lib/server.mjs';
import { until } from './lib/until.mjs';

let server, browser, page;

before(async () => {
  server = await Server.make();
  await server.start();
  browser = await launch();
  page = await openPage(browser);
});

after(async () => {
  await browser?.close();
  await server?.close();
});

async function fill(code) {
  await page.getByLabel('One-time code').fill(code);
  await page.getByLabel('User name').fill('ana.ruiz');
  await page.getByLabel('Password', { exact: true }).fill('correct horse battery');
  await page.getByLabel('Password again').fill('correct horse battery');
  await page.getByRole('button', { name: 'Make the first user' }).click();
}

test('a wrong code makes nobody, and says so', async () => {
  await page.goto(server.url);
  await fill('aaaa-bbbb-cccc');
  await page.getByText('is not the one that the server printed').waitFor();
});

test('the code that the server printed makes an administrator, who is signed in', async () => {
  const code = await until('the code is printed', () => server.output.match(/code: (\S+)/)?.[1]);
  await fill(code);
  await page.getByRole('button', { name: 'New category' }).waitFor();
  const me = await page.evaluate(async () => (await fetch('/api/v1/me')).json());
  assert.equal(me.name, 'ana.ruiz');
  assert.equal(me.admin, true);
  assert.deepEqual(page.faults, []);
});
