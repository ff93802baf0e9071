// Takes the pictures of the handbook from a real server with an invented conversation:
//   node pictures.mjs [folder]        (docs/pictures, if none is named)

import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Api } from './lib/api.mjs';
import { launch, message, openPage, openRoom, signIn } from './lib/browser.mjs';
import { picture } from './lib/picture.mjs';
import { Server } from './lib/server.mjs';

const folder = resolve(process.argv[2] ?? new URL('../../docs/pictures', import.meta.url).pathname);
const password = 'harbour lantern seven';
const people = {
  'ana.ruiz': 'Ana Ruiz',
  'bo.lind': 'Bo Lind',
  'chidi.obi': 'Chidi Obi',
  'dana.weiss': 'Dana Weiss',
  'eve.kato': 'Eve Kato',
  'grace.moreau': 'Grace Moreau',
};

// A morning on a bond desk. Names, prices and banks are invented.
const morning = [
  ['bo.lind', 'Good morning. Limits are loaded, overnight positions reconciled.'],
  ['chidi.obi', 'Morning. Asia sold the long end a little, nothing wild.'],
  ['ana.ruiz', 'Auction at 11:30, 4 billion of the ten-year. I would like everybody’s interest by 11:15.'],
  ['dana.weiss', 'Two pension accounts asked already. They prefer switches out of the eight-year.'],
  ['dana.weiss', 'I should have sizes by ten.'],
  ['eve.kato', 'The futures basis on my screen is stale. Do not lean on it until I say so, see #incidents.'],
  ['bo.lind', 'Confirmed, same here. @eve.kato the feed team has it.'],
  ['grace.moreau', 'Repo: the March bond is special, 15 through. Borrow early if you need it.'],
  ['chidi.obi', 'Client asks for 25m, working it.'],
  ['chidi.obi', 'Done at 98.42.'],
  ['ana.ruiz', 'Thank you. @chidi.obi please hold the confirmation until the allocation is in.'],
];
const alert = ['grace.moreau', 'Futures halted on the exchange. No hedges until further notice.'];
const story = {
  author: 'dana.weiss',
  title: 'Treasury call: what we heard',
  text: [
    'Supply is unchanged against the March calendar, with one tap of the thirty-year moved to June.',
    'They look at the buy-back window again after the summer; nothing is decided.',
    'Questions on settlement go through the usual desk.',
  ].join('\n\n'),
};
const afterwards = [
  ['eve.kato', 'Basis is live again, checked against two sources.'],
  ['grace.moreau', 'Exchange resumed at 09:52. Hedges can go again, small clips first. @ana.ruiz fyi'],
];

const server = await Server.make();
let browser;
try {
  for (const name of Object.keys(people)) {
    await server.addUser(name, password, '--display-name', people[name], ...(name === 'ana.ruiz' ? ['--admin'] : []));
  }
  await server.start();
  const as = {};
  for (const name of Object.keys(people)) as[name] = await Api.signedIn(server.url, name, password);
  const ids = {};
  for (const name of Object.keys(people)) ids[name] = (await as[name].call('GET', '/me')).id;

  const admin = as['ana.ruiz'];
  const desks = await admin.category('Trading desks', { description: 'Front office, one room a market' });
  const house = await admin.category('House', { description: 'What concerns everybody' });
  const members = Object.values(ids);
  const closed = { privacy: 'closed', members };
  const bonds = await admin.room(desks.id, 'bonds-emea', {
    ...closed,
    description: 'Government and agency bonds, European hours',
    subject: 'Auction day: ten-year at 11:30',
  });
  const forex = await admin.room(desks.id, 'fx-spot', { ...closed, description: 'Spot and short forwards' });
  const risk = await admin.room(desks.id, 'risk-morning', { privacy: 'secret', members, description: 'Limits before the open' });
  const incidents = await admin.room(house.id, 'incidents', { description: 'What is broken and who is on it' });
  const hall = await admin.room(house.id, 'town-hall', { type: 'auditorium', presenters: [ids['ana.ruiz']], description: 'Announcements' });
  await admin.room(house.id, 'canteen', { description: 'What there is for lunch' });
  for (const room of [bonds, forex, risk, incidents, hall]) await admin.call('PUT', `/me/followed/${room.id}`);
  await admin.call('POST', '/me/feeds', { name: 'Auctions', words: ['auction', 'supply'], match: 'any', authors: [], rooms: [], notify: false });

  await as['eve.kato'].post(incidents.id, 'Futures basis is stale since 08:10. Feed team is on it.');
  await as['chidi.obi'].post(forex.id, 'Euro is quiet ahead of the figures.');
  await as['bo.lind'].post(forex.id, 'Swiss accounts were on the offer, small.');
  await as['bo.lind'].post(risk.id, 'All limits green. @ana.ruiz one exception waits for you.');
  await admin.post(hall.id, 'Welcome. Announcements for the whole house are made here.');
  for (const [name, text] of morning) await as[name].post(bonds.id, text);
  await as[alert[0]].post(bonds.id, alert[1], { alert: true });
  await as[story.author].post(bonds.id, story.text, { title: story.title });
  const { head } = await admin.call('GET', `/rooms/${bonds.id}`);
  await admin.call('PUT', `/rooms/${bonds.id}/read`, { seq: head });
  for (const [name, text] of afterwards) await as[name].post(bonds.id, text);

  await mkdir(folder, { recursive: true });
  browser = await launch();
  const take = async (page, name) => {
    await page.evaluate(() => document.fonts.ready);
    await page.screenshot({ path: join(folder, `${name}.png`), animations: 'disabled' });
    console.log(`${name}.png`);
  };

  const light = await openPage(browser);
  await light.goto(server.url);
  await light.getByLabel('Password').waitFor();
  await take(light, 'sign-in');

  // Two colleagues are there, so that the room is not empty.
  for (const name of ['bo.lind', 'grace.moreau']) {
    const page = await openPage(browser);
    await signIn(page, server.url, name, password);
    await openRoom(page, server.url, bonds.id);
    if (name === 'bo.lind') {
      await page.locator('input[type=file]').setInputFiles({ name: 'ten-year.png', mimeType: 'image/png', buffer: picture(480, 240) });
      await page.getByRole('list', { name: 'Attached files' }).getByText('ten-year.png').waitFor();
      await page.locator('#composer').fill('The ten-year since the open.');
      await page.locator('#composer').press('Enter');
      await message(page, 'The ten-year since the open').waitFor();
    }
  }

  await signIn(light, server.url, 'ana.ruiz', password);
  await openRoom(light, server.url, bonds.id);
  await message(light, 'The ten-year since the open').waitFor();
  await light.getByRole('img', { name: 'Picture ten-year.png' }).waitFor();
  await light.getByRole('button', { name: 'People', exact: true }).click();
  await light.getByRole('complementary').getByRole('heading', { name: /^Members/ }).waitFor();
  await take(light, 'room-light');

  await light.getByRole('button', { name: 'Search', exact: true }).first().click();
  const panel = light.getByRole('complementary');
  await panel.getByRole('radio', { name: 'All rooms' }).check();
  await panel.getByRole('searchbox', { name: 'Words to look for' }).fill('auction');
  await panel.getByRole('searchbox', { name: 'Words to look for' }).press('Enter');
  await panel.locator('mark').first().waitFor();
  await take(light, 'search');

  await light.goto(`${server.url}/rooms/${bonds.id}/manage`);
  await light.getByRole('heading', { name: 'Roles' }).waitFor();
  await take(light, 'room-management');

  const dark = await openPage(browser, { scheme: 'dark' });
  await signIn(dark, server.url, 'ana.ruiz', password);
  await openRoom(dark, server.url, bonds.id);
  await message(dark, 'The ten-year since the open').waitFor();
  await take(dark, 'room-dark');

  const phone = await openPage(browser, { size: 'phone' });
  await signIn(phone, server.url, 'ana.ruiz', password);
  await phone.getByRole('link', { name: /bonds-emea/ }).waitFor();
  await take(phone, 'phone-list');
  await openRoom(phone, server.url, bonds.id);
  await message(phone, 'The ten-year since the open').waitFor();
  await take(phone, 'phone-room');
} finally {
  await browser?.close();
  await server.close();
}
