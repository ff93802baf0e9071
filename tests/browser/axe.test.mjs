// Every page, in light and dark, wide and on a phone: axe finds nothing.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Api } from './lib/api.mjs';
import { launch, openPage, openRoom, signIn, violations } from './lib/browser.mjs';
import { Server } from './lib/server.mjs';

let server, browser, room;

before(async () => {
  server = await Server.make();
  await server.addUser('ana.ruiz', 'correct horse battery', '--admin');
  await server.start();
  const api = await Api.signedIn(server.url, 'ana.ruiz', 'correct horse battery');
  await api.user('bo.lind', 'Bo Lind', 'staple gun sunrise');
  const category = await api.category('Desks', { description: 'Front office' });
  room = (await api.room(category.id, 'bonds', { description: 'Government bonds' })).id;
  await api.call('PUT', `/me/followed/${room}`);
  const bo = await Api.signedIn(server.url, 'bo.lind', 'staple gun sunrise');
  await bo.post(room, 'Good morning @ana.ruiz, see https://www.example.org/calendar');
  await bo.post(room, 'Futures halted.', { alert: true });
  await bo.post(room, 'Point one.\n\nPoint two.', { title: 'What we heard' });
  const wrong = await bo.post(room, 'Wrong room.');
  await bo.call('DELETE', `/rooms/${room}/messages/${wrong.seq}?client_id=5f0c1c7e-58a1-4d8e-a1c5-2f9d3a1f4b11`);
  const typo = await api.post(room, 'Sene.');
  await api.call('PATCH', `/rooms/${room}/messages/${typo.seq}`, {
    client_id: '5f0c1c7e-58a1-4d8e-a1c5-2f9d3a1f4b12',
    text: 'Seen.',
  });
  await api.call('POST', '/me/feeds', { name: 'Auctions', words: ['auction'], match: 'any', authors: [], rooms: [], notify: false });
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await server?.close();
});

const pages = {
  'the list or what waits': '/',
  'the directory': '/directory',
  'a room being managed': () => `/rooms/${room}/manage`,
  mentions: '/mentions',
  'topic feeds': '/feeds',
  invitations: '/invitations',
  profile: '/settings/profile',
  notifications: '/settings/notifications',
  'followed rooms': '/settings/followed',
  sessions: '/settings/sessions',
  'access tokens': '/settings/tokens',
  categories: '/admin/categories',
  users: '/admin/users',
  groups: '/admin/groups',
  'the log': '/admin/audit',
  'first steps': '/start',
  'an unknown page': '/nowhere',
  'a room that is not there': '/rooms/999999',
};

for (const size of ['wide', 'phone']) {
  for (const scheme of ['light', 'dark']) {
    describe(`${size}, ${scheme}`, () => {
      let page;
      const clean = async () => assert.deepEqual(await violations(page), []);

      before(async () => {
        page = await openPage(browser, { size, scheme });
      });
      after(() => page.context().close());

      test('sign in', async () => {
        await page.goto(server.url);
        await page.getByLabel('Password').waitFor();
        await clean();
        await signIn(page, server.url, 'ana.ruiz', 'correct horse battery');
      });

      for (const [name, path] of Object.entries(pages)) {
        test(name, async () => {
          await page.goto(server.url + (typeof path === 'function' ? path() : path));
          await page.getByRole('heading', { level: 1 }).first().waitFor();
          await page.locator('.waiting').first().waitFor({ state: 'detached' });
          await clean();
        });
      }

      test('a room with every kind of message', async () => {
        await openRoom(page, server.url, room);
        await page.getByRole('article').first().waitFor();
        await clean();
      });

      test('the panels', async () => {
        for (const name of ['Search', 'People', 'Files', 'About the room']) {
          const button = page.getByRole('main').getByRole('button', { name, exact: true }).first();
          if (!(await button.isVisible())) continue;
          await button.click();
          await page.getByRole('complementary').waitFor();
          await page.locator('.waiting').first().waitFor({ state: 'detached' });
          await clean();
          await page.getByRole('button', { name: 'Close the panel' }).click();
        }
      });

      test('the dialogs', async () => {
        for (const open of [
          () => page.keyboard.press('Control+k'),
          () => page.evaluate(() => document.activeElement.blur()).then(() => page.keyboard.press('?')),
          async () => {
            await page.goto(`${server.url}/directory`);
            await page.getByRole('button', { name: 'New room' }).first().click();
          },
        ]) {
          await open();
          await page.getByRole('dialog').waitFor();
          await page.locator('.waiting').first().waitFor({ state: 'detached' });
          await clean();
          await page.keyboard.press('Escape');
          await page.getByRole('dialog').waitFor({ state: 'hidden' });
        }
      });

      test('compact density', async () => {
        await page.evaluate(() => (document.documentElement.dataset.density = 'compact'));
        await clean();
      });

      test('nothing went wrong in the page', () => assert.deepEqual(page.faults, []));
    });
  }
}
