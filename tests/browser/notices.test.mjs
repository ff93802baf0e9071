// What those who run the server tell everybody.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, message, openPage, openRoom, signIn, violations } from './lib/browser.mjs';
import { desk } from './lib/desk.mjs';

let server, browser, room, page;

before(async () => {
  const { api, ...made } = await desk();
  ({ server, room } = made);
  await api.post(room, 'Good morning');
  browser = await launch();
  page = await openPage(browser);
  await signIn(page, server.url, 'ana.ruiz', 'correct horse battery');
  await openRoom(page, server.url, room);
  await message(page, 'Good morning').waitFor();
});

after(async () => {
  await browser?.close();
  await server?.close();
});

const outage = (where) => where.locator('[data-notice=outage]');
const set = (...more) => server.command(['pool', 'notice', 'set', '--message', 'New disks', ...more]);
const inHours = (hours) => new Date(Date.now() + hours * 3_600_000).toISOString();

test('a planned outage is told to those who are here and to those who come', async () => {
  assert.equal(await outage(page).count(), 0);
  await set('--begins', inHours(24), '--ends', inHours(25));
  await outage(page).filter({ hasText: /^\s*Planned outage from .+ until .+: New disks\s*$/ }).waitFor();
  const later = await openPage(browser, { size: 'phone', scheme: 'dark' });
  await signIn(later, server.url, 'ana.ruiz', 'correct horse battery');
  await outage(later).filter({ hasText: 'New disks' }).waitFor();
  for (const one of [page, later]) assert.deepEqual(await violations(one), []);
  await later.context().close();
});

test('it can be put away, and comes back when it is another one', async () => {
  await outage(page).getByRole('button', { name: 'Put this notice away' }).click();
  await outage(page).waitFor({ state: 'detached' });
  await server.command(['pool', 'notice', 'set', '--message', 'New disks after all', '--unplanned']);
  await outage(page).filter({ hasText: /^\s*Outage since .+: New disks after all\s*$/ }).waitFor();
});

test('it goes when it should be over, and when it is taken away', async () => {
  await set('--ends', new Date(Date.now() + 3000).toISOString());
  await outage(page).filter({ hasText: /Planned outage until .+: New disks/ }).waitFor();
  await outage(page).waitFor({ state: 'detached' });
  await set();
  await outage(page).filter({ hasText: /Planned outage since .+: New disks/ }).waitFor();
  await server.command(['pool', 'notice', 'clear']);
  await outage(page).waitFor({ state: 'detached' });
});
