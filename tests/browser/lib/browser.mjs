// The browser, and what every test does with it.

import { AxeBuilder } from '@axe-core/playwright';
import { chromium } from 'playwright-core';
import { patience } from './until.mjs';

export const sizes = { wide: { width: 1440, height: 900 }, phone: { width: 390, height: 844 } };

export function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [
      '--no-sandbox',
      // Servers with names, for what browsers do by names.
      '--host-resolver-rules=MAP *.holdfast.test 127.0.0.1',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}

/** A page in a profile of its own. What goes wrong in it, unasked, is collected in `page.faults`. */
export async function openPage(browser, { size = 'wide', scheme = 'light', locale = 'en-GB' } = {}) {
  const context = await browser.newContext({
    viewport: sizes[size],
    colorScheme: scheme,
    locale,
    ...(size === 'phone' ? { hasTouch: true, isMobile: true } : {}),
  });
  context.setDefaultTimeout(patience);
  const page = await context.newPage();
  page.faults = [];
  page.on('pageerror', (error) => page.faults.push(String(error)));
  page.on('console', (message) => {
    if (/Content Security Policy/i.test(message.text())) page.faults.push(message.text());
  });
  page.on('request', (request) => {
    const { hostname } = new URL(request.url());
    if (!/^(data|blob):/.test(request.url()) && hostname !== '127.0.0.1' && !hostname.endsWith('.holdfast.test')) {
      page.faults.push(`asked another host: ${request.url()}`);
    }
  });
  return page;
}

export async function signIn(page, url, name, password) {
  await page.goto(url);
  await page.getByLabel('User name').fill(name);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('navigation', { name: 'Rooms' }).or(page.getByRole('main')).first().waitFor();
  await page.getByRole('button', { name: 'My account and settings' }).waitFor();
}

/** The composer of the open room, ready to be written in. */
export function composer(page) {
  return page.locator('#composer');
}

export async function openRoom(page, url, room) {
  await page.goto(`${url}/rooms/${room}`);
  await page.getByRole('region', { name: /^Messages in/ }).waitFor();
}

/** The page of somebody in a room, which notes where its live connections go and what would show that it was loaded again. */
export async function openPerson(browser, url, name, password, room) {
  const page = await openPage(browser);
  page.live = [];
  page.on('websocket', (socket) => page.live.push(new URL(socket.url()).host));
  await signIn(page, url, name, password);
  await openRoom(page, url, room);
  await composer(page).waitFor();
  await page.evaluate(() => (window.loadedOnce = true));
  return page;
}

export function message(page, text) {
  return page.getByRole('article').filter({ hasText: text });
}

export async function say(page, text) {
  await composer(page).fill(text);
  await composer(page).press('Enter');
}

/** What axe finds, as lines that can be read. */
export async function violations(page) {
  const { violations } = await new AxeBuilder({ page }).analyze();
  return violations.flatMap((violation) =>
    violation.nodes.map((node) => `${violation.id}: ${node.target.join(' ')}: ${node.failureSummary}`),
  );
}
