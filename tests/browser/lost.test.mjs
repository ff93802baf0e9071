// The pool goes on in another site with a copy of its database that had not got the last messages: the page says what is gone, shows nothing of
// it any more, and its own messages can be said again. A server that was left behind is not gone back to.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Api } from './lib/api.mjs';
import { launch, message, openPerson, say, violations } from './lib/browser.mjs';
import { Postgres } from './lib/postgres.mjs';
import { Server } from './lib/server.mjs';
import { until } from './lib/until.mjs';

const password = 'correct horse battery';
let primary, copy, one, two, browser, room, ana, bo;

const banner = (page, state) => page.locator(`[data-state=${state}]`);
const lost = (page) => page.locator('article[data-state=lost]');
const accepted = async (page) =>
  until(
    'nothing is on its way',
    async () => (await page.locator('article[data-state]:not([data-state=lost])').count()) === 0,
  );

const person = (server, name) => openPerson(browser, server.url, name, password, room);

before(async () => {
  primary = await Postgres.start();
  one = await Server.inPool('one', primary.url);
  await one.addUser('ana.ruiz', password, '--admin', '--display-name', 'Ana Ruiz');
  await one.addUser('bo.lind', password, '--display-name', 'Bo Lind');
  await one.start();
  await primary.sql("update holdfast.pool set site = 'atl', holder = 'atl-db-1'");
  const api = await Api.signedIn(one.url, 'ana.ruiz', password);
  room = (await api.room((await api.category('Desks')).id, 'bonds')).id;
  for (let i = 1; i <= 12; i++) await api.post(room, `Line ${i} of what was said before.`);
  await api.call('PUT', `/me/followed/${room}`);
  copy = await primary.standby();
  two = await Server.inPool('two', copy.url);
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await Promise.all([one, two].map((server) => server?.close()));
  await Promise.all([primary, copy].map((postgres) => postgres?.close()));
});

test('what the other site has not got is said, and acknowledged, in this one', async () => {
  // Both servers are the pool's, so that pages may ask either; the second has no database that takes writes yet.
  await primary.sql(
    `insert into holdfast.server values ('two', gen_random_uuid(), '${two.url}', '0', 0, 0, 0, 0, now() - interval '1 hour', true)`,
  );
  await until('server one knows of the other', async () => {
    const said = await (await fetch(`${one.url}/api/v1/server`)).json();
    return said.others.includes(two.url);
  });
  ana = await person(one, 'ana.ruiz');
  bo = await person(one, 'bo.lind');
  await say(bo, 'This one gets there');
  await message(ana, 'This one gets there').waitFor();
  const end = await primary.sql('select sum(last_seq) from holdfast.room_head');
  await until('the copy has it', async () => (await copy.sql('select sum(last_seq) from holdfast.room_head')) === end);
  // From here on nothing reaches the other site.
  await copy.sql("alter system set primary_conninfo = ''");
  await copy.sql('select pg_reload_conf()');
  await until('the copy is cut off', async () => (await copy.sql('select count(*) from pg_stat_wal_receiver')) === '0');
  await say(ana, 'Sell 200 at 99.4');
  await accepted(ana);
  await say(ana, 'And 300 at 99.5');
  await accepted(ana);
  await say(bo, 'Done both');
  await message(ana, 'Done both').waitFor();
  for (const text of ['Sell 200 at 99.4', 'And 300 at 99.5']) await message(bo, text).waitFor();
});

test('the site is lost: the page goes on in the other one, and says what was not preserved', async () => {
  await Promise.all([one.kill(), primary.kill()]);
  await copy.sql('select pg_promote()');
  // What a failover does there, in one transaction.
  await copy.sql(
    `set search_path = holdfast; begin;
     insert into room_epoch select room, 1000, last_seq from room_head;
     update pool set epoch = 1000, state = 'failed-over', site = 'bos', holder = 'bos-db-1', active = '{two}', chosen = true;
     commit`,
  );
  await two.start();
  await until('the page is in the other site', () => ana.live.at(-1) === new URL(two.url).host);
  await banner(ana, 'moved').getByText('The pool goes on in another site: bos.').waitFor();
  await lost(ana).first().waitFor();
  assert.equal(await lost(ana).count(), 2);
  const note = ana.locator('[data-cut]');
  assert.match(await note.innerText(), /The pool moved to another site\. 3 messages after .+ were not preserved\./);
  assert.equal(await ana.locator('article:not([data-state])').filter({ hasText: 'Done both' }).count(), 0);
  assert.equal(await ana.locator('article:not([data-state])').filter({ hasText: 'Sell 200' }).count(), 0);
  assert.deepEqual(await violations(ana), []);
  await bo.locator('[data-cut]').waitFor();
  assert.equal(await lost(bo).count(), 1);
  await lost(bo).getByText('Done both').waitFor();
});

test('the numbers are given again, and nothing old stands among what is new', async () => {
  await say(bo, 'We are in bos now');
  await message(ana, 'We are in bos now').waitFor();
  const lines = await ana.locator('article:not([data-state])').allInnerTexts();
  assert.equal(lines.filter((line) => /Sell 200|And 300|Done both/.test(line)).length, 0);
  assert.equal(lines.filter((line) => line.includes('This one gets there')).length, 1);
});

test('they are sent again with one click, and are there once', async () => {
  await bo.getByRole('button', { name: 'Send again' }).click();
  await message(ana, 'Done both').waitFor();
  await ana.getByRole('button', { name: 'Send all again' }).click();
  for (const text of ['Sell 200 at 99.4', 'And 300 at 99.5']) await message(bo, text).waitFor();
  await until('nothing is lost', async () => (await lost(ana).count()) === 0 && (await lost(bo).count()) === 0);
  await accepted(ana);
  const api = await Api.signedIn(two.url, 'ana.ruiz', password);
  const said = await api.texts(room);
  for (const text of ['Sell 200 at 99.4', 'And 300 at 99.5', 'Done both', 'This one gets there']) {
    assert.equal(said.filter((one) => one === text).length, 1, text);
    assert.equal(await message(ana, text).count(), 1, text);
  }
});

test('the administration says where the pool goes on', async () => {
  await ana.goto(`${two.url}/admin/pool`);
  await ana
    .getByRole('heading', {
      name: 'The pool has failed over: it goes on in site bos.',
    })
    .waitFor();
  await ana.getByText(/^Epoch 1,?000, taken by bos-db-1$/).waitFor();
});

test('the lost site comes back alone: nobody goes back to it, and the page says why', async () => {
  await primary.run();
  await one.start();
  // Bo's page came from there, and has nobody else to go to.
  await two.kill();
  await banner(bo, 'behind').waitFor();
  await say(bo, 'Not into the past');
  assert.deepEqual(await violations(bo), []);
  assert.equal(await primary.sql("select count(*) from holdfast.entry where payload like '%Not into the past%'"), '0');
  await two.start();
  await banner(bo, 'behind').waitFor({ state: 'hidden' });
  await message(bo, 'Not into the past').waitFor();
  await accepted(bo);
  assert.equal(await primary.sql("select count(*) from holdfast.entry where payload like '%Not into the past%'"), '0');
  assert.equal(await copy.sql("select count(*) from holdfast.entry where payload like '%Not into the past%'"), '1');
  assert.deepEqual(bo.faults, []);
});
