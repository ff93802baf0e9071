// The interface of the server as a program uses it: to prepare what a test needs and to check what it did.

import { randomUUID } from 'node:crypto';

export class Api {
  #base;
  #cookie = '';

  constructor(url) {
    this.#base = `${url}/api/v1`;
  }

  static async signedIn(url, name, password) {
    const api = new Api(url);
    await api.call('POST', '/session', { name, password });
    return api;
  }

  async call(method, path, body) {
    const answer = await fetch(this.#base + path, {
      method,
      headers: {
        ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
        ...(this.#cookie ? { Cookie: this.#cookie } : {}),
      },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const cookie = answer.headers.getSetCookie().find((one) => one.startsWith('holdfast_session='));
    if (cookie) this.#cookie = cookie.split(';')[0];
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
    return text ? JSON.parse(text) : undefined;
  }

  /** Uploads a file to a room. */
  async upload(room, name, bytes) {
    const path = `${this.#base}/rooms/${room}/files?name=${encodeURIComponent(name)}`;
    const answer = await fetch(path, { method: 'POST', headers: { Cookie: this.#cookie }, body: bytes });
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  }

  async user(name, display, password) {
    return this.call('POST', '/users', { name, display_name: display, password });
  }

  async category(name, more = {}) {
    return this.call('POST', '/categories', { name, ...more });
  }

  async room(category, name, more = {}) {
    return this.call('POST', '/rooms', { category, name, privacy: 'open', ...more });
  }

  async post(room, text, more = {}) {
    return this.call('POST', `/rooms/${room}/messages`, { client_id: randomUUID(), text, ...more });
  }

  /** Every message text of a room, in order. */
  async texts(room) {
    const texts = [];
    let after = 0;
    for (;;) {
      const page = await this.call('GET', `/rooms/${room}/entries?after=${after}&limit=500`);
      for (const entry of page.entries) {
        after = entry.seq;
        if (entry.kind === 'message' && entry.message) texts.push(entry.message.text);
      }
      if (!page.more_after) return texts;
    }
  }
}
