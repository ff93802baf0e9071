// Three real servers on a real PostgreSQL, and people in front of them: servers are killed, drained, exchanged, and nobody loses
// what was said, what is being written, or the place where one reads.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Api } from './lib/api.mjs';
import { composer, launch, message, openPerson, say } from './lib/browser.mjs';
import { picture } from './lib/picture.mjs';
import { Postgres } from './lib/postgres.mjs';
import { Server } from './lib/server.mjs';
import { until } from './lib/until.mjs';

const password = 'correct horse battery';
let postgres, one, two, three, browser, room, ana, bo;

const banner = (page, state) => page.locator(`[data-state=${state}]`);
const pending = (page) => page.locator('article[data-state]');
const region = (page) => page.getByRole('region', { name: /^Messages in/ });

/** Every message of the room, as a server that takes clients has them. */
async function texts(server) {
  const api = await Api.signedIn(server.url, 'ana.ruiz', password);
  return api.texts(room);
}

async function allOnce(server, ...wanted) {
  const said = await texts(server);
  for (const text of wanted) assert.equal(said.filter((one) => one === text).length, 1, text);
}

const person = (server, name) => openPerson(browser, server.url, name, password, room);

const host = (server) => new URL(server.url).host;
const isAt = (page, server) => until(`the page is at ${server.url}`, () => page.live.at(-1) === host(server));

async function isIntact(page) {
  assert.equal(await page.evaluate(() => window.loadedOnce), true, 'the page was loaded again');
  assert.deepEqual(page.faults, []);
}

async function standing(server, wanted) {
  await until(`${server.url} is ${wanted}`, async () => {
    const answer = await fetch(`${server.url}/api/v1/server`).catch(() => null);
    return answer?.ok && (await answer.json()).standing === wanted;
  });
}

before(async () => {
  postgres = await Postgres.start();
  [one, two, three] = await Promise.all(['one', 'two', 'three'].map((name) => Server.inPool(name, postgres.url)));
  await one.addUser('ana.ruiz', password, '--admin', '--display-name', 'Ana Ruiz');
  await one.addUser('bo.lind', password, '--display-name', 'Bo Lind');
  await one.start();
  await two.start();
  await three.start();
  await one.command(['pool', 'active', 'set', 'one', 'two']);
  await Promise.all([standing(one, 'active'), standing(two, 'active'), standing(three, 'standby')]);
  const api = await Api.signedIn(one.url, 'ana.ruiz', password);
  room = (await api.room((await api.category('Desks')).id, 'bonds')).id;
  for (let i = 1; i <= 60; i++) await api.post(room, `Line ${i} of what was said before.`);
  // Both have read all of it, so that their pages begin at the end.
  for (const name of ['ana.ruiz', 'bo.lind']) {
    const reader = await Api.signedIn(one.url, name, password);
    await reader.call('PUT', `/rooms/${room}/read`, { seq: (await reader.call('GET', `/rooms/${room}`)).head });
  }
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await Promise.all([one, two, three].map((server) => server?.close()));
  await postgres?.close();
});

test('people on two servers talk, and see who is there', async () => {
  ana = await person(one, 'ana.ruiz');
  bo = await person(two, 'bo.lind');
  await say(ana, 'Good morning from one');
  await message(bo, 'Good morning from one').waitFor();
  await say(bo, 'Good morning from two');
  await message(ana, 'Good morning from two').waitFor();
  await ana.getByRole('button', { name: '2 here' }).waitFor();
  const png = picture(200, 120);
  await bo.locator('input[type=file]').setInputFiles({ name: 'curve.png', mimeType: 'image/png', buffer: png });
  await bo.getByRole('button', { name: 'Take curve.png away' }).or(bo.getByText('curve.png')).first().waitFor();
  await say(bo, 'The curve');
  await ana.getByRole('img', { name: 'Picture curve.png' }).waitFor();
});

test('a server is killed while somebody writes and a message is under way: the page goes on at another one', async () => {
  let arrived, killed;
  const hasArrived = new Promise((resolve) => (arrived = resolve));
  const isKilled = new Promise((resolve) => (killed = resolve));
  // It gets there, and its answer does not come back.
  await ana.route(`${one.url}/api/v1/rooms/${room}/messages`, async (route) => {
    await route.fetch();
    arrived();
    await isKilled;
    await route.abort('connectionreset');
  });
  await say(ana, 'Under way when the lights went out');
  await hasArrived;
  await composer(ana).pressSequentially('Half a sent');
  await one.kill();
  killed();
  await composer(ana).pressSequentially('ence');
  await banner(ana, 'moved').waitFor();
  await isAt(ana, two);
  assert.equal(await composer(ana).inputValue(), 'Half a sentence');
  await until('nothing is pending', async () => (await pending(ana).count()) === 0);
  await composer(ana).press('Enter');
  await message(bo, 'Half a sentence').waitFor();
  await say(bo, 'I am still here');
  await message(ana, 'I am still here').waitFor();
  for (const text of ['Under way when the lights went out', 'Half a sentence', 'I am still here']) {
    assert.equal(await message(ana, text).count(), 1, text);
    assert.equal(await message(bo, text).count(), 1, text);
  }
  await allOnce(two, 'Under way when the lights went out', 'Half a sentence', 'I am still here');
  assert.equal(new URL(ana.url()).origin, one.url);
  await isIntact(ana);
});

test('pictures come from the server that goes on', async () => {
  const curve = ana.getByRole('img', { name: 'Picture curve.png' });
  await curve.scrollIntoViewIfNeeded();
  await until('it is drawn', () => curve.evaluate((img) => img.complete && img.naturalWidth > 0));
  assert.equal(new URL(await curve.getAttribute('src'), ana.url()).origin, two.url);
});

test('the page of a standby leads to a server that takes clients', async () => {
  const fresh = await person(three, 'ana.ruiz');
  await isAt(fresh, two);
  assert.equal(new URL(fresh.url()).origin, three.url);
  await say(fresh, 'Signed in on a standby');
  await message(bo, 'Signed in on a standby').waitFor();
  await isIntact(fresh);
  await fresh.context().close();
});

test('a server is taken off the list: its people go to another, and what they read does not move', async () => {
  // One reads far up, with something half written.
  await region(bo).hover();
  await bo.mouse.wheel(0, -1200);
  await composer(bo).fill('Not yet sent');
  // A line in the middle of what is seen, and where it is.
  const row = region(bo).getByRole('article');
  const line = await row.nth(Math.floor((await row.count()) / 2)).innerText();
  const place = async () => (await message(bo, line.split('\n').at(-1)).boundingBox())?.y;
  let start;
  await until('the list is at rest', async () => {
    const before = start;
    start = await place();
    await new Promise((resolve) => setTimeout(resolve, 150));
    return start !== undefined && start === before;
  });
  await two.command(['pool', 'active', 'add', 'three']);
  await two.command(['pool', 'active', 'remove', 'one', 'two']);
  await Promise.all([isAt(ana, three), isAt(bo, three)]);
  await banner(bo, 'moved').waitFor();
  const during = await place();
  assert.ok(Math.abs(during - start) <= 1, `it moved from ${start} to ${during}`);
  await banner(bo, 'moved').waitFor({ state: 'hidden' });
  const end = await place();
  assert.ok(Math.abs(end - start) <= 1, `it moved from ${start} to ${end}`);
  assert.equal(await composer(bo).inputValue(), 'Not yet sent');
  await say(ana, 'Said on three');
  await composer(bo).press('Enter');
  await message(ana, 'Not yet sent').waitFor();
  await message(bo, 'Said on three').waitFor();
  await isIntact(ana);
  await isIntact(bo);
});

test('nobody goes back only because the first server is there again', async () => {
  await one.start();
  await one.command(['pool', 'active', 'add', 'one']);
  await standing(one, 'active');
  const connections = ana.live.length;
  await say(ana, 'Still on three');
  await message(bo, 'Still on three').waitFor();
  assert.equal(ana.live.length, connections);
  await one.command(['pool', 'active', 'remove', 'one']);
  await standing(one, 'standby');
});

test('the only active server is killed: the page says that none takes it, and goes on as soon as one does', async () => {
  await three.kill();
  await banner(ana, 'nowhere').waitFor();
  await say(ana, 'Said to nobody');
  await until('it waits', async () => (await pending(ana).count()) === 1);
  await one.command(['pool', 'active', 'set', 'one']);
  await Promise.all([isAt(ana, one), isAt(bo, one)]);
  await until('nothing is pending', async () => (await pending(ana).count()) === 0);
  await message(bo, 'Said to nobody').waitFor();
  await allOnce(one, 'Said to nobody', 'Said on three', 'Still on three', 'Not yet sent');
  await isIntact(ana);
  await isIntact(bo);
});

test('the database goes away and comes back: a message waits, is never called failed without cause, and gets there once', async () => {
  await postgres.kill();
  await say(ana, 'Said without a database');
  await until('it waits', async () => (await ana.locator('article[data-state=waiting]').count()) === 1);
  await postgres.run();
  await until('nothing is pending', async () => (await pending(ana).count()) === 0, 60_000);
  await message(bo, 'Said without a database').waitFor({ timeout: 60_000 });
  assert.equal(await message(ana, 'Said without a database').count(), 1);
  await allOnce(one, 'Said without a database');
  await isIntact(ana);
});

test('a server that hangs with its connections open is left too, and what it was sent is there once', async () => {
  await three.start();
  await one.command(['pool', 'active', 'add', 'three']);
  await standing(three, 'active');
  one.pause();
  try {
    await say(ana, 'Said to a server that hangs');
    await isAt(ana, three);
    await until('nothing is pending', async () => (await pending(ana).count()) === 0);
  } finally {
    one.resume();
  }
  await message(ana, 'Said to a server that hangs').waitFor();
  await allOnce(three, 'Said to a server that hangs');
  // Bo said nothing and noticed nothing, or went too: either way he sees it.
  await message(bo, 'Said to a server that hangs').waitFor();
  await isIntact(ana);
  await isIntact(bo);
});

test('the administration shows the servers, and changes who takes clients', async () => {
  await one.command(['pool', 'active', 'set', 'one']);
  await standing(three, 'standby');
  await ana.goto(`${one.url}/admin/pool`);
  const card = (name) => ana.getByRole('main').getByRole('listitem').filter({ has: ana.getByRole('heading', { name }) });
  await card('three').getByText('Standby', { exact: true }).waitFor();
  await card('three').getByRole('button', { name: 'Make active' }).click();
  await ana.getByRole('dialog').getByRole('button', { name: 'Make active' }).click();
  await card('three').getByText('Active', { exact: true }).waitFor();
  // What the server says to a change that it refuses is shown before it is tried.
  await card('one').getByText('you are here').waitFor();
  await card('one').getByRole('button', { name: 'Take off the list' }).click();
  await ana.getByRole('dialog').getByRole('button', { name: 'Take off the list' }).click();
  await card('three').getByText('you are here').waitFor();
  await card('one').getByText('Standby', { exact: true }).waitFor();
  await isAt(bo, three);
  assert.deepEqual(ana.faults, []);
});
