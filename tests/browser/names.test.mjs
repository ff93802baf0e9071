// The servers of a pool under names below one domain: the session made at one holds at the others, and nobody else's page gets
// anything by it.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Api } from './lib/api.mjs';
import { composer, launch, message, openPage, openRoom, say, signIn } from './lib/browser.mjs';
import { picture } from './lib/picture.mjs';
import { Postgres } from './lib/postgres.mjs';
import { Server } from './lib/server.mjs';
import { until } from './lib/until.mjs';

const password = 'correct horse battery';
const domain = 'chat.holdfast.test';
let postgres, one, two, browser, page, room;

const address = (name, server) => `http://${name}.${domain}:${server.port}`;

before(async () => {
  postgres = await Postgres.start();
  one = await Server.inPool('one', postgres.url, { domain });
  two = await Server.inPool('two', postgres.url, { domain });
  await one.addUser('ana.ruiz', password, '--admin');
  await one.start();
  await two.start();
  const api = await Api.signedIn(one.url, 'ana.ruiz', password);
  room = (await api.room((await api.category('Desks')).id, 'bonds')).id;
  await until('the servers know each other', async () => {
    const { servers } = await (await fetch(`${one.url}/api/v1/server`)).json();
    return servers.length === 2;
  });
  browser = await launch();
  page = await openPage(browser);
});

after(async () => {
  await browser?.close();
  await Promise.all([one, two].map((server) => server?.close()));
  await postgres?.close();
});

test('a session goes on at another name when the server is gone', async () => {
  const live = [];
  page.on('websocket', (socket) => live.push(new URL(socket.url()).host));
  await signIn(page, address('one', one), 'ana.ruiz', password);
  await openRoom(page, address('one', one), room);
  await composer(page).waitFor();
  const png = picture(200, 120);
  await page.locator('input[type=file]').setInputFiles({ name: 'curve.png', mimeType: 'image/png', buffer: png });
  await page.getByText('curve.png').first().waitFor();
  await say(page, 'Said at one');
  await message(page, 'Said at one').waitFor();
  await one.kill();
  await until('the page is at two', () => live.at(-1) === `two.${domain}:${two.port}`);
  await say(page, 'Said at two');
  await message(page, 'Said at two').waitFor();
  await until('nothing is pending', async () => (await page.locator('article[data-state]').count()) === 0);
  const curve = page.getByRole('img', { name: 'Picture curve.png' });
  await until('the picture is drawn', () => curve.evaluate((img) => img.complete && img.naturalWidth > 0));
  assert.ok((await curve.getAttribute('src')).startsWith(address('two', two)));
  const api = await Api.signedIn(two.url, 'ana.ruiz', password);
  assert.deepEqual(await api.texts(room), ['Said at one', 'Said at two']);
  assert.deepEqual(page.faults, []);
});

test('a page of a neighbour below the same domain can neither read nor write, though the cookie goes with what it asks', async () => {
  const other = await page.context().newPage();
  await other.route('http://evil.holdfast.test/', (route) =>
    route.fulfill({ contentType: 'text/html', body: '<!doctype html><title>Evil</title>' }),
  );
  await other.route(`http://evil.${domain}/`, (route) =>
    route.fulfill({ contentType: 'text/html', body: '<!doctype html><title>Evil</title>' }),
  );
  for (const origin of [`http://evil.${domain}/`, 'http://evil.holdfast.test/']) {
    await other.goto(origin);
    const got = await other.evaluate(
      async ({ base, room }) => {
        const tried = (run) => run().then((value) => value, () => 'kept from it');
        const text = JSON.stringify({ client_id: crypto.randomUUID?.() ?? '5f0c1c7e-58a1-4d8e-a1c5-2f9d3a1f4b13', text: 'Said by evil' });
        return {
          read: await tried(async () => (await fetch(`${base}/api/v1/me`, { credentials: 'include' })).text()),
          asked: await tried(async () =>
            (await fetch(`${base}/api/v1/rooms/${room}/messages`, {
              method: 'POST',
              credentials: 'include',
              headers: { 'Content-Type': 'application/json' },
              body: text,
            })).text(),
          ),
          // Without a question beforehand; nobody can read the answer, but it might do something.
          written: await tried(async () =>
            (await fetch(`${base}/api/v1/rooms/${room}/messages`, {
              method: 'POST',
              mode: 'no-cors',
              credentials: 'include',
              body: text,
            })).type,
          ),
          live: await new Promise((resolve) => {
            const socket = new WebSocket(`${base.replace('http', 'ws')}/api/v1/live`);
            socket.onmessage = () => resolve('heard something');
            socket.onclose = () => resolve('kept from it');
          }),
          drawn: await new Promise((resolve) => {
            const img = new Image();
            img.onload = () => resolve('drawn');
            img.onerror = () => resolve('kept from it');
            img.src = `${base}/favicon.svg`;
          }),
        };
      },
      { base: address('two', two), room },
    );
    const no = 'kept from it';
    assert.deepEqual(got, { read: no, asked: no, written: no, live: no, drawn: no }, origin);
  }
  const api = await Api.signedIn(two.url, 'ana.ruiz', password);
  assert.deepEqual(await api.texts(room), ['Said at one', 'Said at two']);
  await other.close();
});
