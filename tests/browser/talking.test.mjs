// From an empty server to a conversation, through the page alone.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { composer, launch, message, openPage, say, signIn } from './lib/browser.mjs';
import { picture } from './lib/picture.mjs';
import { Server } from './lib/server.mjs';
import { until } from './lib/until.mjs';

let server, browser, ana, bo;

before(async () => {
  server = await Server.make();
  await server.addUser('ana.ruiz', 'correct horse battery', '--admin');
  await server.start();
  browser = await launch();
  ana = await openPage(browser);
});

after(async () => {
  await browser?.close();
  await server?.close();
});

test('a wrong password is refused with a sentence, and the right one lets in', async () => {
  await ana.goto(server.url);
  await ana.getByLabel('User name').fill('ana.ruiz');
  await ana.getByLabel('Password').fill('wrong');
  await ana.getByRole('button', { name: 'Sign in' }).click();
  await ana.locator('form [role=alert]').waitFor();
  await signIn(ana, server.url, 'ana.ruiz', 'correct horse battery');
});

test('the first steps lead to a category, a second user and a room', async () => {
  await ana.goto(`${server.url}/start`);
  await ana.getByRole('button', { name: 'New category' }).click();
  const category = ana.getByRole('dialog');
  await category.getByLabel('Name', { exact: true }).fill('Desks');
  await category.getByRole('button', { name: 'Make the category' }).click();
  await category.waitFor({ state: 'hidden' });

  await ana.getByRole('button', { name: 'New room' }).click();
  const room = ana.getByRole('dialog');
  await room.getByLabel('Name', { exact: true }).fill('bonds');
  await room.getByLabel('Description').fill('Government bonds');
  await room.getByRole('radio', { name: /^Open/ }).check();
  await room.getByRole('button', { name: 'Make the room' }).click();
  await room.waitFor({ state: 'hidden' });

  await ana.getByRole('button', { name: 'New user' }).click();
  const user = ana.getByRole('dialog');
  await user.getByLabel('User name').fill('bo.lind');
  await user.getByLabel('Display name').fill('Bo Lind');
  await user.getByLabel('First password').fill('staple gun sunrise');
  await user.getByRole('button', { name: 'Make the user' }).click();
  await user.waitFor({ state: 'hidden' });

  await ana.getByRole('main').getByRole('link', { name: 'Open bonds' }).click();
  await ana.getByRole('heading', { name: 'bonds', level: 1 }).waitFor();
  await ana.getByText('The room begins here').waitFor();
});

test('two people see each other, and what the other writes', async () => {
  bo = await openPage(browser);
  await signIn(bo, server.url, 'bo.lind', 'staple gun sunrise');
  await bo.goto(`${server.url}/directory`);
  await bo.getByRole('link', { name: 'bonds', exact: true }).click();
  await composer(bo).waitFor();
  await ana.getByRole('button', { name: '2 here' }).waitFor();

  await say(ana, 'Good morning. Supply at https://www.example.org/supply today.');
  await message(bo, 'Good morning').waitFor();
  const link = bo.getByRole('link', { name: 'https://www.example.org/supply' });
  assert.equal(await link.getAttribute('rel'), 'noopener noreferrer');

  await say(bo, 'Morning @ana.ruiz, two-way in the ten-year.');
  await message(ana, 'two-way in the ten-year').waitFor();
  await ana.locator('.mention.me').waitFor();
});

test('text that looks like markup stays text', async () => {
  await say(bo, '<img src=x onerror=alert(1)> <b>not bold</b>');
  await message(ana, '<b>not bold</b>').waitFor();
  assert.equal(await ana.locator('article img[src=x]').count(), 0);
});

test('typing is seen by the others', async () => {
  // The server passes on one notice in two seconds, so the first letters may say nothing.
  await until('the notice is seen', async () => {
    await composer(bo).pressSequentially('On');
    return ana.getByText('Bo Lind is writing').isVisible();
  });
  await composer(bo).fill('');
});

test('an edit is seen by everybody and keeps the first version', async () => {
  await say(ana, 'Done at 98.24.');
  await message(bo, 'Done at 98.24').waitFor();
  await composer(ana).press('ArrowUp');
  await ana.getByText('You are editing a message').waitFor();
  await composer(ana).fill('Done at 98.42.');
  await composer(ana).press('Enter');
  await message(bo, 'Done at 98.42').getByText('(edited)').waitFor();
  await message(ana, 'Done at 98.42').getByRole('button', { name: '(edited)' }).click();
  const versions = ana.getByRole('dialog');
  await versions.getByText('Done at 98.24.').waitFor();
  await versions.getByText('Done at 98.42.').waitFor();
  await ana.keyboard.press('Escape');
  await versions.waitFor({ state: 'hidden' });
});

test('a retraction takes the text away and says who did it', async () => {
  await say(ana, 'This was for another room.');
  const mine = message(ana, 'This was for another room');
  await mine.hover();
  await mine.getByRole('button', { name: 'More about this message' }).click();
  await ana.getByRole('menuitem', { name: 'Retract' }).click();
  await ana.getByRole('dialog').getByRole('button', { name: 'Retract' }).click();
  await bo.getByText(/retracted this message/).waitFor();
  assert.equal(await message(bo, 'This was for another room').count(), 0);
});

test('a moderator removes a message and must give a reason', async () => {
  await say(bo, 'The client is Nordmark.');
  const theirs = message(ana, 'The client is Nordmark');
  await theirs.hover();
  await theirs.getByRole('button', { name: 'More about this message' }).click();
  await ana.getByRole('menuitem', { name: 'Remove' }).click();
  const dialog = ana.getByRole('dialog');
  assert.equal(await dialog.getByRole('button', { name: 'Remove' }).isDisabled(), true);
  await dialog.getByLabel('Reason').fill('No client names here');
  await dialog.getByRole('button', { name: 'Remove' }).click();
  await bo.getByText('No client names here').waitFor();
});

test('an alert stands out by a word and is announced at once', async () => {
  await ana.getByRole('button', { name: 'Alert' }).click();
  await say(ana, 'Futures halted.');
  await message(bo, 'Futures halted').getByText('Alert', { exact: true }).waitFor();
  await until('the alert is announced', async () =>
    /Futures halted/.test(await bo.locator('[aria-live=assertive]').innerText()),
  );
});

test('a story has a title and a text of several lines', async () => {
  await ana.getByRole('button', { name: 'Story' }).click();
  await ana.getByRole('textbox', { name: 'Title of the story' }).fill('What the treasury said');
  await composer(ana).fill('First point.\n\nSecond point.');
  await composer(ana).press('Control+Enter');
  await message(bo, 'What the treasury said').getByText('Second point.').waitFor();
});

test('a picture is uploaded and shown as a thumbnail', async () => {
  await ana.locator('input[type=file]').setInputFiles({ name: 'curve.png', mimeType: 'image/png', buffer: picture(320, 200) });
  await ana.getByRole('button', { name: 'Take off curve.png' }).waitFor();
  await say(ana, 'The curve this morning.');
  const image = message(bo, 'The curve this morning').getByRole('img', { name: 'Picture curve.png' });
  await until('the thumbnail has been drawn', () => image.evaluate((element) => element.complete && element.naturalWidth > 0));
  await bo.getByRole('button', { name: 'Files', exact: true }).click();
  await bo.getByRole('complementary').getByRole('link', { name: 'curve.png' }).waitFor();
  await bo.getByRole('button', { name: 'Close the panel' }).click();
});

test('a draft stays with its room when the page is loaded again', async () => {
  await composer(bo).fill('half a thought');
  await bo.reload();
  await until('the draft is back', async () => (await composer(bo).inputValue()) === 'half a thought');
  await composer(bo).fill('');
});

test('the other browser counts what it has not seen', async () => {
  await bo.getByRole('button', { name: 'Follow', exact: true }).first().click();
  const link = bo.getByRole('navigation', { name: 'Rooms' }).getByRole('link', { name: /bonds/ });
  await link.waitFor();
  await until('all has been read', async () => !/unread/.test(await link.innerText()));
  await bo.goto(`${server.url}/settings`);
  await bo.getByRole('heading', { name: 'Settings', level: 1 }).waitFor();
  await say(ana, 'Unseen one');
  await say(ana, 'Unseen two');
  await until('two are counted', async () => /2 unread/.test(await link.innerText()));
  await link.click();
  await bo.getByText('New', { exact: true }).waitFor();
  await until('they count as read once seen', async () => !/unread/.test(await link.innerText()));
});

test('nothing went wrong in the pages, and they asked no other host', () => {
  assert.deepEqual(ana.faults, []);
  assert.deepEqual(bo.faults, []);
});
