// What the page says when servers of a pool take nobody or cannot save, and what administrators see of a pool. The server is real
// and alone; what it would say in a pool is put into its mouth.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Api } from './lib/api.mjs';
import { composer, launch, message, openPage, openRoom, say, signIn, violations } from './lib/browser.mjs';
import { desk } from './lib/desk.mjs';
import { until } from './lib/until.mjs';

let server, browser, room;

before(async () => {
  const { api, ...made } = await desk();
  ({ server, room } = made);
  for (let i = 1; i <= 60; i++) await api.post(room, `Line ${i} of what was said before.`);
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await server?.close();
});

const banner = (page, state) => page.locator(`[data-state=${state}]`);
const pending = (page) => page.locator('article[data-state]');

const problem = (status, code, detail, more = {}) => ({
  status,
  contentType: 'application/problem+json',
  body: JSON.stringify({ type: `/problems/${code}`, code, title: code, status, detail, ...more }),
});
const standby = problem(503, 'standby', 'This server is a standby of its pool and takes no clients.', { servers: [] });

/** From now on the server says that it is one of a pool. */
async function inPool(page, standing = 'active') {
  await page.route('**/api/v1/server', async (route) => {
    const answer = await route.fetch();
    // Nobody listens at the second address.
    await route.fulfill({ json: { ...(await answer.json()), standing, servers: [server.url, 'http://127.0.0.1:9'] } });
  });
}

async function signedIn(options) {
  const page = await openPage(browser, options);
  await inPool(page);
  await signIn(page, server.url, 'ana.ruiz', 'correct horse battery');
  return page;
}

describe('no server takes connections', () => {
  let page;
  before(async () => {
    page = await signedIn();
    await openRoom(page, server.url, room);
    await message(page, 'Line 60 of').waitFor();
  });
  after(() => page.context().close());

  test('the page says so, and what is read does not move', async () => {
    await page.getByRole('region', { name: /^Messages in/ }).hover();
    await page.mouse.wheel(0, -300);
    const rows = page.getByRole('region', { name: /^Messages in/ }).getByRole('article');
    const line = (await rows.nth(Math.floor((await rows.count()) / 2)).innerText()).split('\n').at(-1);
    const place = async () => (await message(page, line).boundingBox())?.y;
    let start;
    await until('the list is at rest', async () => {
      const before = start;
      start = await place();
      await new Promise((resolve) => setTimeout(resolve, 150));
      return start !== undefined && start === before;
    });
    await page.route('**/health/ready', (route) => route.fulfill(standby));
    await page.route(/\/api\/v1\/(?!server)/, (route) => route.fulfill(standby));
    await page.routeWebSocket('**/api/v1/live', (socket) => socket.close());
    // The connection that is there ends as it does when a network goes and comes.
    await page.evaluate(() => dispatchEvent(new Event('offline')));
    await banner(page, 'nowhere').waitFor();
    assert.match(await banner(page, 'nowhere').innerText(), /No server takes connections now; trying again/);
    const end = await place();
    assert.ok(Math.abs(end - start) <= 1, `it moved from ${start} to ${end}`);
    assert.deepEqual(await violations(page), []);
  });

  test('what is written meanwhile waits, and goes out when one does again', async () => {
    await say(page, 'Written while nobody took it');
    await pending(page).getByText('Not sent yet; will be sent by itself').waitFor();
    await page.unroute(/\/api\/v1\/(?!server)/);
    await page.unroute('**/health/ready');
    await page.routeWebSocket('**/api/v1/live', (socket) => socket.connectToServer());
    await banner(page, 'nowhere')
      .getByRole('button', { name: 'Connect now' })
      .click({ timeout: 3000 })
      .catch(() => {
        // It may have come back by itself.
      });
    await until('nothing is pending', async () => (await pending(page).count()) === 0, 60_000);
    await banner(page, 'nowhere').waitFor({ state: 'hidden' });
    const api = await Api.signedIn(server.url, 'ana.ruiz', 'correct horse battery');
    assert.equal((await api.texts(room)).filter((text) => text === 'Written while nobody took it').length, 1);
  });

  test('before the sign-in too, and by itself it goes on when one does', async () => {
    const fresh = await openPage(browser);
    await inPool(fresh, 'standby');
    await fresh.route('**/health/ready', (route) => route.fulfill(standby));
    await fresh.route('**/api/v1/me', (route) => route.fulfill(standby));
    await fresh.goto(server.url);
    await fresh.getByText('No server takes connections now; trying again').waitFor();
    await fresh.unrouteAll();
    await fresh.getByLabel('User name').waitFor();
    await fresh.context().close();
  });
});

describe('the database is away', () => {
  let page;
  before(async () => {
    page = await signedIn();
    await openRoom(page, server.url, room);
    await composer(page).waitFor();
  });
  after(() => page.context().close());

  test('a message waits, and then says why it was not sent, and can be sent again', async () => {
    await page.clock.install();
    const away = problem(503, 'unavailable', 'The database does not answer. Nothing was saved.', { retry_after: 2 });
    await page.route(`**/api/v1/rooms/${room}/messages`, (route) => route.fulfill(away));
    await say(page, 'Into the void');
    await pending(page).getByText('Not sent yet; will be sent by itself The database does not answer.').waitFor();
    await until('a person must decide', async () => {
      await page.clock.runFor(5000);
      return (await page.locator('article[data-state=failed]').count()) === 1;
    });
    const failed = page.locator('article[data-state=failed]');
    await failed.getByText('Not sent. The database does not answer. Nothing was saved.').waitFor();
    await page.unroute(`**/api/v1/rooms/${room}/messages`);
    await failed.getByRole('button', { name: 'Send again' }).click();
    await until('it was sent', async () => (await pending(page).count()) === 0);
    assert.equal(await message(page, 'Into the void').count(), 1);
  });

  test('one that may have arrived is never called failed', async () => {
    let asked = 0;
    await page.route(`**/api/v1/rooms/${room}/messages`, (route) =>
      asked++ === 0
        ? route.abort('connectionreset')
        : route.fulfill(problem(403, 'forbidden', 'You may no longer write here.')),
    );
    await say(page, 'Perhaps');
    await pending(page).getByText('it may have arrived').waitFor();
    await until('it was tried again', async () => {
      await page.clock.runFor(2000);
      return asked > 1;
    });
    const doubtful = page.locator('article[data-state=doubtful]');
    await doubtful.getByText('Not known whether it arrived. You may no longer write here.').waitFor();
    await page.unroute(`**/api/v1/rooms/${room}/messages`);
    await doubtful.getByRole('button', { name: 'Discard' }).click();
    await until('it is gone', async () => (await pending(page).count()) === 0);
  });
});

describe('the servers of a pool, for administrators', () => {
  const minutes = (n) => new Date(Date.now() - n * 60_000).toISOString();
  const one = (name, standing, more = {}) => ({
    name,
    address: `https://${name}.chat.example.org`,
    standing,
    active: standing === 'active',
    this: false,
    version: '1.0.0',
    started_at: minutes(300),
    seen_ms_ago: 700,
    connections: 0,
    people: 0,
    round_trip_ms: 0.42,
    ...more,
  });
  const pool = () => ({
    epoch: 1,
    chosen: true,
    database: {
      engine: 'PostgreSQL 15.18',
      location: 'db1.example.org:5432/holdfast',
      condition: 'ready',
      round_trip_ms: 0.41,
    },
    servers: [
      one('chat-1', 'active', { this: true, connections: 1240, people: 1102 }),
      one('chat-2', 'silent', { active: true, connections: 0, seen_ms_ago: 15_200 }),
      one('chat-3', 'draining', { connections: 31, people: 30 }),
      one('chat-4', 'standby'),
      one('chat-5', 'stopped', { seen_ms_ago: 9_000_000 }),
    ],
  });

  for (const size of ['wide', 'phone']) {
    for (const scheme of ['light', 'dark']) {
      test(`are shown, ${size} and ${scheme}`, async () => {
        const page = await signedIn({ size, scheme });
        await page.route('**/api/v1/pool', (route) => route.fulfill({ json: pool() }));
        await page.goto(`${server.url}/admin/categories`);
        await page.getByRole('link', { name: 'Pool' }).click();
        const chat1 = page.getByRole('listitem').filter({ hasText: 'chat-1.chat.example.org' });
        await chat1.getByText('1,240').waitFor();
        assert.equal(await page.getByRole('main').getByRole('listitem').count(), 5);
        await page.getByRole('button', { name: 'Make active chat-4' }).waitFor();
        await page.getByRole('button', { name: 'Forget chat-5' }).waitFor();
        assert.deepEqual(await violations(page), []);
        if (process.env.PICTURES) await page.screenshot({ path: `${process.env.PICTURES}/pool-${size}-${scheme}.png` });
        await page.context().close();
      });
    }
  }

  test('follow what happens without being asked', async () => {
    const page = await signedIn();
    let now = pool();
    await page.route('**/api/v1/pool', (route) => route.fulfill({ json: now }));
    await page.goto(`${server.url}/admin/pool`);
    await page.getByText('2 servers are active').waitFor();
    now = { ...now, servers: now.servers.slice(0, 1), database: { ...now.database, condition: 'gone' } };
    await page.getByText('1 server is active').waitFor();
    await page.getByText('Does not answer. Nothing can be read or written').waitFor();
    await page.context().close();
  });

  test('a change is explained before it is made, and a refusal too', async () => {
    const page = await signedIn();
    const asked = [];
    await page.route('**/api/v1/pool', (route) => route.fulfill({ json: pool() }));
    await page.route('**/api/v1/pool/active', (route) => {
      const body = route.request().postDataJSON();
      asked.push(body);
      if (body.add && !body.far) {
        return route.fulfill(problem(409, 'conflict', 'The database answers chat-4 in 24 ms; at most 10 are allowed.'));
      }
      if (body.what_if) return route.fulfill({ json: { what_if: true, changes: ['chat-4 becomes active.'] } });
      return route.fulfill({ json: pool() });
    });
    await page.goto(`${server.url}/admin/pool`);
    await page.getByRole('button', { name: 'Make active chat-4' }).click();
    const dialog = page.getByRole('dialog', { name: 'Make chat-4 active?' });
    await dialog.getByText('The database answers chat-4 in 24 ms').waitFor();
    const go = dialog.getByRole('button', { name: 'Make active' });
    assert.equal(await go.isDisabled(), true);
    await dialog.getByLabel('Also if the database is too far from it').check();
    await dialog.getByText('chat-4 becomes active.').waitFor();
    if (process.env.PICTURES) await page.screenshot({ path: `${process.env.PICTURES}/pool-dialog.png` });
    assert.deepEqual(await violations(page), []);
    await go.click();
    await page.getByText('chat-4 takes clients now.').first().waitFor();
    assert.deepEqual(asked.at(-1), { add: ['chat-4'], far: true });

    await page.getByRole('button', { name: 'Replace chat-1' }).click();
    await page.getByLabel('Who takes its place').selectOption('chat-4');
    await page.getByRole('dialog').getByText('chat-4 becomes active.').waitFor();
    await page.getByRole('dialog').getByRole('button', { name: 'Replace' }).click();
    await page.getByText('chat-4 takes clients now; chat-1 is being drained.').first().waitFor();
    assert.deepEqual(asked.at(-1), { swap: { out: 'chat-1', in: 'chat-4' }, far: false });
    await page.context().close();
  });

  test('are nowhere to be seen when there is no pool', async () => {
    const page = await openPage(browser);
    await signIn(page, server.url, 'ana.ruiz', 'correct horse battery');
    await page.goto(`${server.url}/admin/categories`);
    await page.getByRole('link', { name: 'Users' }).waitFor();
    assert.equal(await page.getByRole('link', { name: 'Pool' }).count(), 0);
    await page.context().close();
  });
});
