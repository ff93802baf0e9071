// A room with a long past: search, dates, and scrolling that does not move what is being read.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Api } from './lib/api.mjs';
import { launch, message, openPage, openRoom, signIn } from './lib/browser.mjs';
import { Server } from './lib/server.mjs';
import { until } from './lib/until.mjs';

const count = 700;
let server, browser, page, api, room, short, cy;

before(async () => {
  server = await Server.make();
  await server.addUser('ana.ruiz', 'correct horse battery', '--admin');
  await server.addUser('cy.lin', 'correct horse battery');
  await server.start();
  api = await Api.signedIn(server.url, 'ana.ruiz', 'correct horse battery');
  const category = await api.category('Desks');
  room = (await api.room(category.id, 'archive')).id;
  await api.room(category.id, 'other');
  short = (await api.room(category.id, 'short')).id;
  cy = await Api.signedIn(server.url, 'cy.lin', 'correct horse battery');
  await cy.call('PUT', `/me/followed/${short}`);
  for (const n of ['One', 'Another']) await api.post(short, `${n} of two.`);
  for (let i = 1; i <= count; i++) {
    const text = i === 42 ? 'Message 42 speaks of the narwhal settlement.' : `Message ${i}${'. And more of it'.repeat(i % 7)}.`;
    await api.post(room, text);
  }
  // All has been read, so the room opens at its end.
  const { head } = await api.call('GET', `/rooms/${room}`);
  await api.call('PUT', `/rooms/${room}/read`, { seq: head });
  browser = await launch();
  page = await openPage(browser);
  await signIn(page, server.url, 'ana.ruiz', 'correct horse battery');
});

after(async () => {
  await browser?.close();
  await server?.close();
});

const timeline = () => page.getByRole('region', { name: 'Messages in archive' });

/** The first message that is wholly in sight, and where it stands. */
function sight() {
  return timeline().evaluate((list) => {
    const top = list.getBoundingClientRect().top;
    const rows = [...list.querySelectorAll('article')].sort(
      (a, b) => a.getBoundingClientRect().top - b.getBoundingClientRect().top,
    );
    const row = rows.find((one) => one.getBoundingClientRect().top >= top);
    return row ? { seq: Number(row.dataset.seq), offset: row.getBoundingClientRect().top - top } : null;
  });
}

const whereIs = (seq) =>
  timeline().evaluate((list, wanted) => {
    const row = list.querySelector(`article[data-seq="${wanted}"]`);
    return row ? row.getBoundingClientRect().top - list.getBoundingClientRect().top : null;
  }, seq);

const heightOf = () => timeline().evaluate((list) => list.scrollHeight);

/** Waits until two frames in a row show the same, and says what they show. */
function atRest() {
  return until('the messages have come to rest', async () => {
    const first = await sight();
    await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
    const second = await sight();
    return first && second && first.seq === second.seq && Math.abs(first.offset - second.offset) < 0.5 && second;
  });
}

test('a room that fits on a screen is read from its end, also where some of it is unread', async () => {
  const phone = await openPage(browser, { size: 'phone' });
  await signIn(phone, server.url, 'cy.lin', 'correct horse battery');
  await openRoom(phone, server.url, short);
  await message(phone, 'One of two').waitFor();
  await until('it is read', async () => (await cy.call('GET', `/rooms/${short}`)).me.unread === 0);
  assert.equal(await phone.getByRole('button', { name: 'To the newest' }).count(), 0);
  await phone.context().close();
});

test('the room opens at its end', async () => {
  await openRoom(page, server.url, room);
  await message(page, `Message ${count}`).waitFor();
  await until('the end is in sight', () =>
    timeline().evaluate((list) => list.scrollHeight - list.scrollTop - list.clientHeight < 40),
  );
});

test('older messages load above without moving what is read', async () => {
  // Each page of history is held back until the reader has come to rest, and only then let through.
  const held = [];
  const older = /\/entries\?before=/;
  await page.route(older, (route) => held.push(route));
  await timeline().hover();
  let pages = 0;
  await until(
    'the beginning of the room is reached',
    async () => {
      await page.mouse.wheel(0, -900);
      const before = await atRest();
      const route = held.shift();
      if (route) {
        const height = await heightOf();
        await route.continue();
        await until('the page has arrived', async () => (await heightOf()) > height);
        await atRest();
        const now = await whereIs(before.seq);
        assert.ok(now !== null, `message ${before.seq} is no longer in sight`);
        assert.ok(Math.abs(now - before.offset) < 2, `message ${before.seq} moved by ${now - before.offset} px`);
        pages += 1;
      }
      return page.getByText('The room begins here').isVisible();
    },
    180_000,
  );
  await page.unroute(older);
  assert.ok(pages >= 5, `only ${pages} pages were fetched`);
});

test('a new message does not pull a reader down, and the pill counts it', async () => {
  const before = await sight();
  const colleague = await Api.signedIn(server.url, 'ana.ruiz', 'correct horse battery');
  await colleague.user('bo.lind', 'Bo Lind', 'staple gun sunrise');
  const bo = await Api.signedIn(server.url, 'bo.lind', 'staple gun sunrise');
  await bo.post(room, 'News from Bo.');
  const pill = page.getByRole('button', { name: '1 new message' });
  await pill.waitFor();
  assert.deepEqual(await sight(), before);
  await pill.click();
  await message(page, 'News from Bo').waitFor();
});

test('a search leads to its hit in the room, marked', async () => {
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'Search', exact: true }).first().click();
  const panel = page.getByRole('complementary');
  await panel.getByRole('searchbox', { name: 'Words to look for' }).fill('narwhal');
  await panel.getByRole('button', { name: 'Search' }).click();
  const hit = panel.getByRole('link', { name: /narwhal/ });
  await hit.waitFor();
  assert.equal(await panel.locator('mark').first().innerText(), 'narwhal');
  await hit.click();
  const found = message(page, 'narwhal settlement');
  await found.waitFor();
  assert.match(await found.getAttribute('class'), /marked/);
  await message(page, 'Message 41').first().waitFor();
  await panel.getByRole('button', { name: 'Close the panel' }).click();
});

test('paging goes forward again from a place in the middle', async () => {
  await timeline().hover();
  await until('the newest message is reached', async () => {
    await page.mouse.wheel(0, 1500);
    return message(page, 'News from Bo').isVisible();
  }, 60_000);
});

test('a search that finds nothing says so', async () => {
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'Search', exact: true }).first().click();
  const panel = page.getByRole('complementary');
  await panel.getByRole('searchbox', { name: 'Words to look for' }).fill('zzyzx');
  await panel.getByRole('searchbox', { name: 'Words to look for' }).press('Enter');
  await panel.getByText('Nothing found for “zzyzx”').waitFor();
  await panel.getByRole('button', { name: 'Close the panel' }).click();
});

test('a date leads to its first message', async () => {
  await page.getByRole('button', { name: 'Go to a date' }).click();
  const today = await page.getByLabel('Go to a date', { exact: true }).last().inputValue();
  assert.match(today, /^\d{4}-\d\d-\d\d$/);
  await page.getByRole('button', { name: 'Go', exact: true }).click();
  await message(page, 'Message 1').first().waitFor();
  await until('the first message is in sight', async () => (await sight())?.seq <= 3);
});

test('a link to a message opens the room at it', async () => {
  const { entries } = await api.call('GET', `/rooms/${room}/entries?around=300&limit=3`);
  const target = entries.find((entry) => entry.kind === 'message');
  await page.goto(`${server.url}/rooms/${room}?at=${target.seq}`);
  const found = page.locator(`article[data-seq="${target.seq}"]`);
  await found.waitFor();
  assert.match(await found.getAttribute('class'), /marked/);
});

test('going to another room and back shows the same place at once', async () => {
  await timeline().hover();
  await page.mouse.wheel(0, -900);
  const before = await atRest();
  const list = page.getByRole('navigation', { name: 'Rooms' });
  await list.getByRole('link', { name: /other/ }).click();
  await page.getByRole('heading', { name: 'other', level: 1 }).waitFor();
  await list.getByRole('link', { name: /archive/ }).click();
  await until('the place is the same', async () => (await sight())?.seq === before.seq);
});

test('nothing went wrong in the page', () => assert.deepEqual(page.faults, []));
