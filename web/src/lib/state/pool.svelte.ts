// The servers of the pool as this page sees them: which one it talks to, which others there are, and what is being done about one
// that takes no clients or does not answer.

import { api, current, onTrouble, Problem, type Standing } from '../api';
import { met, nothingSeen, seenFrom, type Seen } from '../pool/epoch';
import { Follower, type Where } from '../pool/follower';
import type { Base } from '../pool/addresses';
import type { Found } from '../pool/choice';
import { load, save } from '../ui/storage';

/** A server that has not answered within this time counts as silent. */
const deadline = 2500;
/** So often a client asks who takes clients; as much again at most is added, so that not all ask together. */
const every = 60_000;
/** The same while no server does. */
const hurried = 4000;

const here = typeof location === 'undefined' ? { origin: '', protocol: '' } : location;

class Pool {
  where = $state.raw<Where>({ state: 'settled' });
  /** What the current server is to its pool; null before it has said so. */
  standing = $state<Standing | null>(null);
  /** This page's own, and those of the pool's other servers. */
  origins = $state.raw<readonly string[]>([here.origin]);
  /** Grows with every move to another server. */
  moves = $state(0);
  /** Servers that came to the pool after this page: the page's own rules do not let it ask them. */
  barred = $state.raw<readonly Base[]>([]);
  /** Told when requests go to another server from now on. */
  onMoved: () => void = () => {};
  /** The latest state of the pool that was seen. */
  seen = $state.raw<Seen>(nothingSeen);
  /** The site to which the pool moved while this page was open; null when it did not. */
  movedTo = $state<string | null>(null);
  #watching: ReturnType<typeof setTimeout> | undefined;

  #follower = new Follower(
    here,
    {
      ask: (base) => this.#ask(base),
      random: () => Math.random(),
      later: (milliseconds, run) => {
        const timer = setTimeout(run, milliseconds);
        return () => clearTimeout(timer);
      },
    },
    {
      where: (where) => {
        this.where = where;
        if (where.state === 'nowhere') this.#watch(hurried);
      },
      moved: (base, abandon) => {
        current.change(base, abandon);
        this.moves += 1;
        this.onMoved();
      },
      known: (servers) => {
        const origins = servers.map((base) => base || here.origin);
        this.origins = [...new Set([here.origin, ...origins])];
        save('servers', origins);
      },
    },
  );

  constructor() {
    this.#follower.heard(load<string[]>('servers') ?? []);
    this.seen = seenFrom(load('epoch'));
    onTrouble({
      elsewhere: (servers, from) => this.#follower.elsewhere(servers, from),
      silent: (from) => this.#follower.silent(from),
    });
    if (typeof document === 'undefined') return;
    document.addEventListener('securitypolicyviolation', (event) => {
      const base = this.#follower.known.find((one) => one !== '' && event.blockedURI.startsWith(one));
      if (base && !this.barred.includes(base)) this.barred = [...this.barred, base];
    });
  }

  /** The only server that takes clients was left behind: nothing is to be given to it. */
  get isBehind(): boolean {
    return this.where.state === 'nowhere' && this.where.behind;
  }

  /** What a server said of the pool. */
  heard(said: {
    standing?: Standing;
    servers?: string[];
    others?: string[];
    epoch?: number;
    site?: string | null;
  }): void {
    // What a server says that was left behind, of the others too, is history.
    if (said.epoch !== undefined && !this.meets(said.epoch, said.site ?? null)) return;
    this.standing = said.standing ?? 'alone';
    const servers = said.servers ?? [];
    if (this.standing === 'alone') this.#follower.forget();
    else this.#follower.heard(servers, said.others ?? []);
    if (this.standing === 'standby' && servers.length > 0) void this.#follower.elsewhere(servers, current.base);
  }

  /** Takes in the epoch of a server; false when it was left behind, which is then being seen to. */
  meets(epoch: number, site: string | null): boolean {
    const { seen, behind, moved } = met(this.seen, epoch, site);
    if (behind) {
      void this.#follower.behind(current.base);
      return false;
    }
    if (moved) this.movedTo = site;
    if (seen.epoch !== this.seen.epoch || seen.site !== this.seen.site) {
      this.seen = seen;
      save('epoch', seen.epoch === 0 ? null : seen);
    }
    return true;
  }

  /** A person has decided that a server that was left behind is to be used all the same. */
  insist(): void {
    this.seen = nothingSeen;
    save('epoch', null);
    this.#follower.arrived();
  }

  /** The live connection was told to go, with all others of this server. */
  sentAway(servers: readonly string[]): void {
    void this.#follower.elsewhere(servers, current.base, 'sent-away');
  }

  /** A live connection is there. */
  arrived(): void {
    this.#follower.arrived();
    void this.#refresh();
  }

  /** Asks now and then who takes clients, which also notices a server that has fallen silent without a word. */
  start(): () => void {
    this.#watch();
    return () => clearTimeout(this.#watching);
  }

  #watch(wait = every): void {
    clearTimeout(this.#watching);
    this.#watching = setTimeout(() => void this.#look(), wait * (1 + Math.random()));
  }

  async #look(): Promise<void> {
    if (this.where.state === 'nowhere' && (await this.#ask(current.base)) === 'ready') this.#follower.arrived();
    else if (this.standing !== 'alone') await this.#refresh();
    this.#watch(this.where.state === 'nowhere' ? hurried : every);
  }

  async #refresh(): Promise<void> {
    try {
      this.heard(await api.server());
    } catch (problem) {
      // What is to be done about it has begun where all answers come in.
      if (!(problem instanceof Problem)) throw problem;
    }
  }

  async #ask(base: Base): Promise<Found> {
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), deadline);
    try {
      const { found, epoch } = await api.ready(base, abort.signal);
      return found === 'ready' && epoch !== null && epoch !== 0 && epoch < this.seen.epoch ? 'behind' : found;
    } finally {
      clearTimeout(timer);
    }
  }
}

export const pool = new Pool();
