// The server goes away under a conversation: the page says so, keeps what is written, and sends it exactly once.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Api } from './lib/api.mjs';
import { composer, launch, message, openPage, openRoom, say, signIn } from './lib/browser.mjs';
import { desk } from './lib/desk.mjs';
import { until } from './lib/until.mjs';

let server, browser, page, room;

before(async () => {
  ({ server, room } = await desk());
  browser = await launch();
  page = await openPage(browser);
  await signIn(page, server.url, 'ana.ruiz', 'correct horse battery');
  await openRoom(page, server.url, room);
  await composer(page).waitFor();
});

after(async () => {
  await browser?.close();
  await server?.close();
});

const banner = (state) => page.locator(`[data-state=${state}]`);
const pending = () => page.locator('article[data-state]');

test('a message is accepted while the server is there', async () => {
  await say(page, 'Before the cut');
  await message(page, 'Before the cut').waitFor();
  await until('nothing is pending', async () => (await pending().count()) === 0);
});

test('the page says that it is offline, and since when', async () => {
  await server.kill();
  await banner('offline').waitFor();
  assert.match(await banner('offline').innerText(), /Offline since \d\d:\d\d/);
});

test('what is written while offline looks different, and survives a second cut of patience', async () => {
  await say(page, 'Written in the dark, one');
  await say(page, 'Written in the dark, two');
  await until('both are pending', async () => (await pending().count()) === 2);
  // The first was tried, and nobody can say where it got to; the second waits behind it.
  await page.getByText('It is sent again by itself, and never doubled').first().waitFor();
  await page.getByText('Not sent yet; will be sent by itself').first().waitFor();
});

test('after the restart everything gets through, once and in order', async () => {
  await server.start();
  await banner('offline').getByRole('button', { name: 'Connect now' }).click({ timeout: 2000 }).catch(() => {
    // It may have come back by itself in the meantime.
  });
  await until('nothing is pending', async () => (await pending().count()) === 0, 60_000);
  await banner('offline').waitFor({ state: 'hidden' });
  const api = await Api.signedIn(server.url, 'ana.ruiz', 'correct horse battery');
  assert.deepEqual(await api.texts(room), ['Before the cut', 'Written in the dark, one', 'Written in the dark, two']);
  for (const text of ['Written in the dark, one', 'Written in the dark, two']) {
    assert.equal(await message(page, text).count(), 1);
  }
});

test('a message whose answer was lost is not doubled', async () => {
  // The request reaches the server, but its answer never reaches the page.
  let lost = 0;
  await page.route(`**/api/v1/rooms/${room}/messages`, async (route) => {
    if (lost++ > 0) return route.continue();
    await route.fetch();
    return route.abort('connectionreset');
  });
  await say(page, 'Answer lost');
  await until('it was sent again or came by the live connection', async () => (await pending().count()) === 0, 60_000);
  await page.unroute(`**/api/v1/rooms/${room}/messages`);
  const api = await Api.signedIn(server.url, 'ana.ruiz', 'correct horse battery');
  assert.equal((await api.texts(room)).filter((text) => text === 'Answer lost').length, 1);
  assert.equal(await message(page, 'Answer lost').count(), 1);
});

test('what others wrote while the page was away is there when it is back', async () => {
  const api = await Api.signedIn(server.url, 'ana.ruiz', 'correct horse battery');
  await page.context().setOffline(true);
  await banner('offline').waitFor();
  for (let i = 1; i <= 5; i++) await api.post(room, `Missed ${i}`);
  await page.context().setOffline(false);
  await message(page, 'Missed 5').waitFor({ timeout: 60_000 });
  for (let i = 1; i <= 5; i++) assert.equal(await message(page, `Missed ${i}`).count(), 1);
});

test('a refused message says why, and can be discarded', async () => {
  await page.route(`**/api/v1/rooms/${room}/messages`, (route) =>
    route.fulfill({
      status: 422,
      contentType: 'application/problem+json',
      body: JSON.stringify({ code: 'invalid', title: 'Invalid', status: 422, detail: 'The text is not welcome. Change it.' }),
    }),
  );
  await say(page, 'Refuse me');
  const refused = page.locator('article[data-state=failed]');
  await refused.getByText('The text is not welcome. Change it.').waitFor();
  await page.unroute(`**/api/v1/rooms/${room}/messages`);
  await say(page, 'After the refused one');
  await until('the next one is not held up', async () => (await pending().count()) === 1);
  await refused.getByRole('button', { name: 'Discard' }).click();
  await refused.waitFor({ state: 'hidden' });
});

test('an ended session leads to the sign-in page, and says why', async () => {
  const api = await Api.signedIn(server.url, 'ana.ruiz', 'correct horse battery');
  const { items } = await api.call('GET', '/me/sessions');
  for (const session of items.filter((one) => !one.current)) await api.call('DELETE', `/me/sessions/${session.id}`);
  await page.getByText('Your session has ended').waitFor();
});

test('nothing went wrong in the page', () => assert.deepEqual(page.faults, []));
