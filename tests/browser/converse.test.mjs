// Converse.js, an XMPP client of others' making, in a page of another origin: in one room with somebody of the web.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { after, before, test } from 'node:test';
import { Api } from './lib/api.mjs';
import { launch, openPage } from './lib/browser.mjs';
import { picture } from './lib/picture.mjs';
import { Server } from './lib/server.mjs';
import { until } from './lib/until.mjs';

const password = 'correct horse battery';
const dist = new URL('node_modules/converse.js/dist', import.meta.url).pathname;
const types = { '.js': 'text/javascript', '.css': 'text/css', '.json': 'application/json', '.wasm': 'application/wasm' };
let server, pages, browser, api, room, ana;

const page = (options) => `<!doctype html><html lang="en"><meta charset="utf-8"><title>Converse</title>
<link rel="stylesheet" href="/dist/converse.min.css"><body><script type="module">
import converse from '/dist/converse.min.js';
converse.initialize(${JSON.stringify(options)});</script>`;

/** The site that Converse comes from: its page, and its files. */
async function serveConverse(options) {
  const site = createServer(async (request, response) => {
    const path = normalize(new URL(request.url, 'http://site').pathname);
    if (path === '/') return response.setHeader('Content-Type', 'text/html').end(page(options));
    const file = path.startsWith('/dist/') ? await readFile(join(dist, path.slice(6))).catch(() => null) : null;
    if (!file) return response.writeHead(404).end();
    response.setHeader('Content-Type', types[extname(path)] ?? 'application/octet-stream').end(file);
  });
  site.listen(0, '127.0.0.1');
  await once(site, 'listening');
  return site;
}

const line = (text) => ana.locator('.chat-msg__text').filter({ hasText: text });

async function write(text) {
  await ana.locator('textarea.chat-textarea').fill(text);
  await ana.locator('textarea.chat-textarea').press('Enter');
}

before(async () => {
  server = await Server.make(() => '[xmpp]\ndomain = "example.org"\nrooms_domain = "rooms.example.org"\n');
  await server.addUser('ana', password, '--admin');
  await server.addUser('bo', password);
  await server.start();
  const root = await Api.signedIn(server.url, 'ana', password);
  room = (await root.room((await root.category('Desks')).id, 'bonds')).id;
  api = await Api.signedIn(server.url, 'bo', password);
  // What a client that knows only the domain would look at.
  const meta = await (await fetch(`${server.url}/.well-known/host-meta.json`)).json();
  const found = meta.links.find(({ rel }) => rel === 'urn:xmpp:alt-connections:websocket').href;
  assert.equal(found, `ws://127.0.0.1:${server.port}/xmpp-websocket`);
  pages = await serveConverse({
    websocket_url: found,
    discover_connection_methods: false,
    authentication: 'login',
    auto_login: true,
    jid: 'ana@example.org',
    password,
    auto_join_rooms: [{ jid: 'bonds@rooms.example.org', nick: 'ana' }],
    assets_path: '/dist/',
    i18n: 'en',
    view_mode: 'fullscreen',
    show_retraction_warning: false,
  });
  browser = await launch();
  ana = await openPage(browser);
});

after(async () => {
  await browser?.close();
  pages?.close();
  pages?.closeAllConnections();
  await server?.close();
});

test('both hear each other, in one order', async () => {
  await api.post(room, 'Before anybody came.');
  await ana.goto(`http://127.0.0.1:${pages.address().port}/`);
  await line('Before anybody came.').waitFor();
  const said = ['Before anybody came.'];
  for (let i = 1; i <= 3; i++) {
    await write(`Question ${i} of ana, with ä.`);
    await until('it is in the log', async () => (await api.texts(room)).includes(`Question ${i} of ana, with ä.`));
    await api.post(room, `Answer ${i} of bo, with <b>.`);
    await line(`Answer ${i} of bo`).waitFor();
    said.push(`Question ${i} of ana, with ä.`, `Answer ${i} of bo, with <b>.`);
  }
  assert.deepEqual(await api.texts(room), said);
  assert.deepEqual((await ana.locator('.chat-msg__text').allInnerTexts()).map((text) => text.trim()), said);
});

test('a correction shows as edited', async () => {
  await write('Done at 98.24.');
  await line('Done at 98.24.').waitFor();
  await until('it is in the log', async () => (await api.texts(room)).includes('Done at 98.24.'));
  await ana.locator('textarea.chat-textarea').press('ArrowUp');
  await until('it is being corrected', async () => (await ana.locator('textarea.chat-textarea').inputValue()) === 'Done at 98.24.');
  await write('Done at 98.42.');
  const entry = await until('it is edited', async () => {
    const { entries } = await api.call('GET', `/rooms/${room}/entries?limit=50`);
    return entries.find(({ kind, message }) => kind === 'message' && message?.text === 'Done at 98.42.');
  });
  assert.ok(entry.edited);
  assert.ok(!(await api.texts(room)).includes('Done at 98.24.'));
});

test('a browser that was never there before finds all of it', async () => {
  const texts = await api.texts(room);
  await ana.close();
  ana = await openPage(browser);
  await ana.goto(`http://127.0.0.1:${pages.address().port}/`);
  await line('Done at 98.42.').waitFor();
  await until('it shows what the log has', async () => {
    const shown = (await ana.locator('.chat-msg__text').allInnerTexts()).map((text) => text.trim());
    return JSON.stringify(shown) === JSON.stringify(texts);
  });
});

test('a file that Converse sends is an attachment of the web, and one of the web is shown by Converse', async () => {
  const png = picture(200, 120);
  await ana.locator('input.fileupload').setInputFiles({ name: 'by converse.png', mimeType: 'image/png', buffer: png });
  const sent = await until('it is in the log', async () => {
    const { items } = await api.call('GET', `/rooms/${room}/files`);
    return items.find(({ file }) => file.name === 'by converse.png');
  });
  assert.equal(sent.file.type, 'image/png');
  assert.ok(sent.file.thumbnail);
  const isShown = async (name) => {
    const img = ana.locator(`.chat-content img[src*="${encodeURIComponent(name)}"]`).first();
    await img.waitFor();
    await until('it is drawn', () => img.evaluate((img) => img.complete && img.naturalWidth > 0));
  };
  await isShown('by converse.png');

  const file = await api.upload(room, 'by the web.png', png);
  await api.post(room, '', { files: [file.id] });
  await isShown('by the web.png');
});
