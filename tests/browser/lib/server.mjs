// A real server of one's own: a free port, an empty data directory, and the ways in which it can end.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { until } from './until.mjs';

const binary = resolve(process.env.HOLDFAST_BIN ?? new URL('../../../target/debug/holdfast', import.meta.url).pathname);

async function freePort() {
  const probe = createServer();
  probe.listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address();
  probe.close();
  await once(probe, 'close');
  return port;
}

export class Server {
  #data;
  #port;
  #child = null;
  output = '';

  static async make() {
    await access(binary).catch(() => {
      throw new Error(`There is no server at ${binary}. Build it, or name it in HOLDFAST_BIN.`);
    });
    const server = new Server();
    server.#data = await mkdtemp(join(tmpdir(), 'holdfast-browser-'));
    server.#port = await freePort();
    return server;
  }

  get url() {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Makes a user from the command line, with the password on standard input. */
  async addUser(name, password, ...more) {
    const child = spawn(binary, ['user', 'add', name, '--data', this.#data, '--password-stdin', ...more]);
    let said = '';
    child.stdout.on('data', (text) => (said += text));
    child.stderr.on('data', (text) => (said += text));
    child.stdin.end(`${password}\n`);
    const [code] = await once(child, 'close');
    if (code !== 0) throw new Error(`user add ${name} ended with ${code}: ${said}`);
  }

  async start() {
    const child = spawn(binary, ['serve', '--data', this.#data, '--http', `127.0.0.1:${this.#port}`]);
    this.#child = child;
    child.stdout.on('data', (text) => (this.output += text));
    child.stderr.on('data', (text) => (this.output += text));
    let ended = null;
    child.on('exit', (code, signal) => (ended = signal ?? code));
    await until('the server answers', async () => {
      if (ended !== null) throw new Error(`The server ended with ${ended}:\n${this.output}`);
      const answer = await fetch(`${this.url}/api/v1/server`).catch(() => null);
      return answer?.ok;
    });
  }

  /** Ends it without asking, as a power cut would. */
  async kill() {
    const child = this.#child;
    this.#child = null;
    if (!child || child.exitCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }

  async close() {
    await this.kill();
    await rm(this.#data, { recursive: true, force: true });
  }
}
