// The main tasks without touching the mouse.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Api } from './lib/api.mjs';
import { launch, message, openPage } from './lib/browser.mjs';
import { Server } from './lib/server.mjs';
import { until } from './lib/until.mjs';

let server, browser, page, keys;

before(async () => {
  server = await Server.make();
  await server.addUser('ana.ruiz', 'correct horse battery', '--admin');
  await server.start();
  const api = await Api.signedIn(server.url, 'ana.ruiz', 'correct horse battery');
  const category = await api.category('Desks');
  const bonds = await api.room(category.id, 'bonds');
  const forex = await api.room(category.id, 'forex');
  for (const { id } of [bonds, forex]) await api.call('PUT', `/me/followed/${id}`);
  await api.user('bo.lind', 'Bo Lind', 'staple gun sunrise');
  browser = await launch();
  page = await openPage(browser);
  keys = page.keyboard;
});

after(async () => {
  await browser?.close();
  await server?.close();
});

const focused = () =>
  page.evaluate(() => {
    const element = document.activeElement;
    return element?.id || element?.getAttribute('aria-label') || element?.textContent?.trim() || element?.tagName;
  });
const heading = (name) => page.getByRole('heading', { name, level: 1 });

test('sign in', async () => {
  await page.goto(server.url);
  await page.getByLabel('User name').waitFor();
  await until('the name has the focus', () => page.getByLabel('User name').evaluate((field) => field === document.activeElement));
  await keys.type('ana.ruiz');
  await keys.press('Tab');
  await keys.type('correct horse battery');
  await keys.press('Enter');
  await page.getByRole('navigation', { name: 'Rooms' }).waitFor();
});

test('go to a room by name, and write in it at once', async () => {
  await page.getByRole('link', { name: /bonds/ }).first().waitFor();
  await keys.press('Control+k');
  await page.getByRole('combobox', { name: 'Go to' }).waitFor();
  await keys.type('bonds');
  await page.getByRole('option', { name: /bonds/, selected: true }).waitFor();
  await keys.press('Enter');
  await heading('bonds').waitFor();
  await until('the cursor is where one writes', async () => (await focused()) === 'composer');
  await keys.type('First line');
  await keys.press('Shift+Enter');
  await keys.type('second line');
  await keys.press('Enter');
  await message(page, 'second line').waitFor();
  assert.match(await message(page, 'second line').locator('.text').innerText(), /^First line\nsecond line/);
});

test('mention somebody from the list', async () => {
  await keys.type('Good morning @bo');
  await page.getByRole('option', { name: /Bo Lind/ }).waitFor();
  await keys.press('Enter');
  await keys.type('!');
  await keys.press('Enter');
  await message(page, 'Good morning @bo.lind !').waitFor();
});

test('edit the last message with arrow up, and leave an edit with Esc', async () => {
  await keys.press('ArrowUp');
  await page.getByText('You are editing a message').waitFor();
  await keys.press('Escape');
  await page.getByText('You are editing a message').waitFor({ state: 'hidden' });
  await keys.press('ArrowUp');
  await keys.press('Control+a');
  await keys.type('Good evening');
  await keys.press('Enter');
  await message(page, 'Good evening').getByText('(edited)').waitFor();
});

test('walk through the messages and retract one from its menu', async () => {
  await keys.press('Escape');
  await page.evaluate(() => document.activeElement.blur());
  await keys.press('t');
  await until('a message has the focus', () => page.evaluate(() => document.activeElement.matches('article')));
  const last = await page.evaluate(() => document.activeElement.dataset.seq);
  await keys.press('ArrowUp');
  await until('the one above has it', () =>
    page.evaluate((seq) => document.activeElement.matches('article') && document.activeElement.dataset.seq !== seq, last),
  );
  await keys.press('ArrowDown');
  await until('and back', () => page.evaluate((seq) => document.activeElement.dataset.seq === seq, last));
  await keys.press('Enter');
  await page.getByRole('menu').waitFor();
  await keys.press('Escape');
  await page.getByRole('menu').waitFor({ state: 'hidden' });
  await until('the focus is back', async () => (await focused()) === 'More about this message');
  await keys.press('Enter');
  await page.getByRole('menuitem', { name: 'Retract' }).waitFor();
  await keys.press('End');
  await keys.press('Enter');
  await page.getByRole('dialog').waitFor();
  await until('the dialog has the focus', () => page.evaluate(() => document.activeElement.closest('dialog') !== null));
  await keys.press('Enter');
  await page.getByText(/retracted this message/).waitFor();
  await page.getByRole('dialog').waitFor({ state: 'hidden' });
});

test('Alt and arrows go from room to room', async () => {
  await keys.press('Alt+ArrowDown');
  await heading('forex').waitFor();
  await keys.press('Alt+ArrowUp');
  await heading('bonds').waitFor();
});

test('the map opens with ?, closes with Esc, and gives the focus back', async () => {
  await page.evaluate(() => document.activeElement.blur());
  await keys.press('?');
  await page.getByRole('dialog', { name: 'Keyboard map' }).waitFor();
  await keys.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'hidden' });
});

test('search with /, go to a hit, and close with Esc', async () => {
  await keys.press('/');
  const field = page.getByRole('searchbox', { name: 'Words to look for' });
  await until('the field has the focus', () => field.evaluate((element) => element === document.activeElement));
  await keys.type('second');
  await keys.press('Enter');
  const hit = page.getByRole('complementary').getByRole('link', { name: /second/ });
  await hit.waitFor();
  for (let i = 0; i < 12 && !(await hit.evaluate((element) => element === document.activeElement)); i++) await keys.press('Tab');
  await keys.press('Enter');
  await page.locator('article.marked').waitFor();
  await keys.press('Escape');
  await page.getByRole('complementary').waitFor({ state: 'hidden' });
});

test('make a room from the jump box', async () => {
  await keys.press('Control+k');
  await keys.type('New room');
  await page.getByRole('option', { name: 'New room', selected: true }).waitFor();
  await keys.press('Enter');
  const dialog = page.getByRole('dialog', { name: 'New room' });
  await until('the name has the focus', () =>
    dialog.getByLabel('Name', { exact: true }).evaluate((field) => field === document.activeElement),
  );
  await keys.type('metals');
  await keys.press('Enter');
  await heading('metals').waitFor();
});

test('leave through the menu', async () => {
  await page.getByRole('button', { name: 'My account and settings' }).focus();
  await keys.press('Enter');
  await page.getByRole('menu').waitFor();
  await keys.press('End');
  await keys.press('Enter');
  await page.getByLabel('Password').waitFor();
});

test('nothing went wrong in the page', () => assert.deepEqual(page.faults, []));
