// A PostgreSQL of a test's own: on a free port of this machine, in a directory of its own, gone when the test is over, or when
// the test is killed. The machine's own cluster is never touched. As root it runs as the user postgres, or nobody.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, readdirSync, readFileSync } from 'node:fs';
import { appendFile, chown, mkdir, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { freePort } from './port.mjs';
import { until } from './until.mjs';

const oldest = 15;

function isThere(path) {
  try {
    accessSync(path);
    return true;
  } catch {
    return false;
  }
}

/** $HOLDFAST_PG_BIN; else Debian's newest; else what PATH has. */
function programs() {
  if (process.env.HOLDFAST_PG_BIN) return process.env.HOLDFAST_PG_BIN;
  const debian = '/usr/lib/postgresql';
  const versions = (isThere(debian) ? readdirSync(debian) : [])
    .map(Number)
    .filter((version) => version >= oldest && isThere(`${debian}/${version}/bin/postgres`))
    .sort((a, b) => b - a);
  if (versions.length > 0) return `${debian}/${versions[0]}/bin`;
  const found = (process.env.PATH ?? '').split(delimiter).find((dir) => isThere(join(dir, 'initdb')));
  if (found) return found;
  throw new Error(`There is no PostgreSQL ${oldest} or later: run packaging/install.sh postgres, or set HOLDFAST_PG_BIN.`);
}

function owner() {
  if (process.getuid() !== 0) return {};
  const users = readFileSync('/etc/passwd', 'utf8').split('\n').map((line) => line.split(':'));
  const user = users.find(([name]) => name === 'postgres') ?? users.find(([name]) => name === 'nobody');
  if (!user) throw new Error('PostgreSQL does not run as root, and there is no user postgres or nobody.');
  return { uid: Number(user[2]), gid: Number(user[3]) };
}

// Waits until the pipe from the test breaks, however that comes about; then ends the cluster of the directory and removes it. A
// number in a file may long be another process's, so it is looked at whose it is. Who ended need not have been collected yet.
const guarding = `cat > /dev/null
pid=$(head -n 1 "$1/data/postmaster.pid" 2> /dev/null)
runs() { [ -n "$pid" ] && grep -qsF "$1" "/proc/$pid/cmdline"; }
if runs "$1"; then kill -QUIT "$pid"; while runs "$1"; do sleep 0.05; done; fi
rm -rf "$1"`;

export class Postgres {
  #bin = programs();
  #owner = owner();
  #home;
  #guard;
  #child = null;
  #port;
  output = '';

  static async start() {
    const postgres = new Postgres();
    try {
      await postgres.#make();
      await postgres.run();
      await postgres.#psql('postgres', 'create role holdfast login');
      await postgres.#psql('postgres', 'create database holdfast owner holdfast');
    } catch (problem) {
      await postgres.close();
      throw problem;
    }
    return postgres;
  }

  /** A copy that follows this one, until it is cut off or promoted. */
  async standby() {
    const standby = new Postgres();
    try {
      await standby.#place();
      const from = ['--host', '127.0.0.1', '--port', String(this.#port), '--username', 'postgres'];
      const to = ['--pgdata', join(standby.#home, 'data'), '--write-recovery-conf', '--checkpoint=fast', '--no-sync'];
      await standby.#finish('pg_basebackup', [...from, ...to]);
      await standby.#configure();
      await standby.run();
    } catch (problem) {
      await standby.close();
      throw problem;
    }
    return standby;
  }

  get url() {
    return `postgres://holdfast@127.0.0.1:${this.#port}/holdfast`;
  }

  /** What SQL as the superuser answers in the pool's database, a line a row. */
  async sql(text) {
    return this.#psql('holdfast', text);
  }

  async #place() {
    this.#home = await mkdtemp(join(tmpdir(), 'holdfast-postgres-'));
    this.#guard = spawn('/bin/sh', ['-c', guarding, 'guard', this.#home], {
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    this.#guard.unref();
    const { uid, gid } = this.#owner;
    if (uid !== undefined) await chown(this.#home, uid, gid);
    const data = join(this.#home, 'data');
    await mkdir(data, { mode: 0o700 });
    if (uid !== undefined) await chown(data, uid, gid);
    return data;
  }

  async #make() {
    const data = await this.#place();
    const options = ['--pgdata', data, '--username', 'postgres', '--auth', 'trust', '--encoding', 'UTF8'];
    await this.#finish('initdb', [...options, '--locale', 'C', '--no-sync', '--no-instructions']);
    await this.#configure();
  }

  async #configure() {
    const data = join(this.#home, 'data');
    this.#port = await freePort();
    // The last one counts, also after those of the cluster that was copied.
    await appendFile(
      join(data, 'postgresql.conf'),
      `\nlisten_addresses = '127.0.0.1'\nport = ${this.#port}\nunix_socket_directories = '${this.#home}'\nfsync = off\n` +
        `shared_buffers = 32MB\nmax_connections = 100\ndynamic_shared_memory_type = mmap\n`,
    );
  }

  async run() {
    this.#child = this.#spawn('postgres', ['-D', join(this.#home, 'data')]);
    let ended = false;
    this.#child.on('exit', () => (ended = true));
    await until('PostgreSQL answers', async () => {
      if (ended) throw new Error(`PostgreSQL ended:\n${this.output}`);
      return this.#psql('postgres', 'select 1').then(
        () => true,
        () => false,
      );
    });
  }

  /** Ends it without asking, with all its children, as a power cut would. */
  async kill() {
    const child = this.#child;
    this.#child = null;
    if (!child || child.exitCode !== null) return;
    const gone = once(child, 'exit');
    // Its children end by themselves when they notice.
    child.kill('SIGKILL');
    await gone;
  }

  async close() {
    if (!this.#guard) return;
    const gone = this.#guard.exitCode === null ? once(this.#guard, 'exit') : null;
    this.#guard.ref();
    this.#guard.stdin.end();
    await gone;
  }

  #spawn(program, args) {
    const child = spawn(join(this.#bin, program), args, {
      ...this.#owner,
      cwd: this.#home,
      env: { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    child.stdout.on('data', (text) => (this.output += text));
    child.stderr.on('data', (text) => (this.output += text));
    return child;
  }

  async #finish(program, args) {
    const child = this.#spawn(program, args);
    let said = '';
    child.stdout.on('data', (text) => (said += text));
    const [code] = await once(child, 'close');
    if (code !== 0) throw new Error(`${program} ended with ${code}:\n${this.output}`);
    return said.trim();
  }

  #psql(database, sql) {
    const to = ['--host', this.#home, '--port', String(this.#port), '--username', 'postgres', '--dbname', database];
    return this.#finish('psql', ['--no-psqlrc', '--quiet', '--tuples-only', '--no-align', ...to, '--command', sql]);
  }
}
