// A real server of one's own: a free port, an empty data directory, and the ways in which it can end.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { freePort } from './port.mjs';
import { until } from './until.mjs';

const binary = resolve(process.env.HOLDFAST_BIN ?? new URL('../../../target/debug/holdfast', import.meta.url).pathname);

/** Passwords of tests need not withstand anybody, and a server built for tests takes seconds for what is usual. */
const quick = '[accounts]\npassword_iterations = 4096\n';

export class Server {
  #data;
  #port;
  #child = null;
  output = '';

  #config = [];

  /** `settings` makes what its settings file holds besides, knowing its port. */
  static async make(settings = () => '') {
    await access(binary).catch(() => {
      throw new Error(`There is no server at ${binary}. Build it, or name it in HOLDFAST_BIN.`);
    });
    const server = new Server();
    server.#data = await mkdtemp(join(tmpdir(), 'holdfast-browser-'));
    server.#port = await freePort();
    const file = join(server.#data, 'holdfast.toml');
    await writeFile(file, quick + settings(server.#port));
    server.#config = ['--config', file];
    return server;
  }

  /**
   * One of several that share a database, which may be slow on a busy machine. `drain`: minutes for which its people may stay when
   * it is taken off the list. `domain`: the browser finds it by its name below this domain.
   */
  static inPool(name, database, { drain = 0, domain = '' } = {}) {
    const named = (port) => `[server]\npublic_url = "http://${name}.${domain}:${port}"\n[http]\ncookie_domain = "${domain}"\n`;
    return Server.make(
      (port) =>
        `[database]\nurl = "${database}"\nwait_seconds = 2\n` +
        `[pool]\nserver = "${name}"\ndrain_minutes = ${drain}\nmost_round_trip_ms = 1000\n` +
        (domain ? named(port) : ''),
    );
  }

  get url() {
    return `http://127.0.0.1:${this.#port}`;
  }

  get port() {
    return this.#port;
  }

  /** What a command says. It asks the running server, or works on the data by itself when there is none. */
  async command(args, input = '') {
    const child = spawn(binary, [...args, '--data', this.#data, ...this.#config]);
    let said = '';
    child.stdout.on('data', (text) => (said += text));
    child.stderr.on('data', (text) => (said += text));
    child.stdin.on('error', () => {});
    child.stdin.end(input);
    const [code] = await once(child, 'close');
    if (code !== 0) throw new Error(`${args.join(' ')} ended with ${code}: ${said}`);
    return said;
  }

  /** Makes a user from the command line, with the password on standard input. */
  async addUser(name, password, ...more) {
    await this.command(['user', 'add', name, '--password-stdin', ...more], `${password}\n`);
  }

  async start() {
    const child = spawn(binary, ['serve', '--data', this.#data, ...this.#config, '--http', `127.0.0.1:${this.#port}`]);
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

  /** From now on it keeps its connections and answers nobody. */
  pause() {
    this.#child.kill('SIGSTOP');
  }

  resume() {
    this.#child.kill('SIGCONT');
  }

  async close() {
    await this.kill();
    await rm(this.#data, { recursive: true, force: true });
  }
}
