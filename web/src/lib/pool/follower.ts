// Which server of the pool this page talks to. Stays where it is for as long as that one takes clients, and looks for another when
// it says that it does not, or does not answer. Asking, the clock and the dice are given from outside.

import { baseOf, reachable, shuffled, type Base, type Here } from './addresses';
import { firstReady, type Choice, type Found } from './choice';

/** Why another server is looked for. */
export type Why =
  /** The server said so to this client. */
  | 'refused'
  /** The server said so to all its clients at once. */
  | 'sent-away'
  /** The server does not answer. */
  | 'silent'
  /** The server has an earlier state of the pool than this page has seen. */
  | 'behind';

export type Where =
  | { state: 'settled' }
  | { state: 'looking'; why: Why }
  /** No server takes clients. `answered`: some said so; otherwise none was reached. `behind`: one would, but was left behind. */
  | { state: 'nowhere'; answered: boolean; behind: boolean };

export interface World {
  ask(base: Base): Promise<Found>;
  random(): number;
  later(milliseconds: number, run: () => void): () => void;
}

export interface Hooks {
  where(where: Where): void;
  /** From now on everything goes to `base`. `abandon`: what is under way to the one before will not be answered. */
  moved(base: Base, abandon: boolean): void;
  /** The servers that may be asked for, to be remembered. */
  known(servers: readonly Base[]): void;
}

/** For how long a client waits at most before it looks around, so that a whole house does not do so at the same moment. */
const spread: Record<Why, number> = { refused: 300, 'sent-away': 3000, silent: 800, behind: 300 };

export class Follower {
  #world: World;
  #hooks: Hooks;
  #here: Here;
  #current: Base = '';
  #known: Base[] = [];
  /** Of them, those that took clients when last heard. */
  #active = new Set<Base>();
  #where: Where = { state: 'settled' };
  #looking: Promise<void> | null = null;
  /** Servers that have said, since it is being looked, that they take nobody. */
  #closed = new Set<Base>();
  #behind = false;

  constructor(here: Here, world: World, hooks: Hooks) {
    this.#here = here;
    this.#world = world;
    this.#hooks = hooks;
  }

  get current(): Base {
    return this.#current;
  }

  get where(): Where {
    return this.#where;
  }

  get known(): readonly Base[] {
    return this.#known;
  }

  /**
   * The servers that take clients, as the pool has them, and others of it that may do so one day. Those heard of before stay, behind
   * these: which server takes clients may change while this page hears of nothing.
   */
  heard(active: readonly unknown[], others: readonly unknown[] = []): void {
    const list = reachable([...active, ...others, ...this.#known.map((base) => base || this.#here.origin)], this.#here);
    // A server alone has no list, and then there is nobody else to ask.
    if (active.length === 0 && others.length === 0) return;
    this.#active = new Set(reachable(active, this.#here));
    if (list.join() === this.#known.join()) return;
    this.#known = list;
    this.#hooks.known(list);
  }

  /** There is no pool: what was heard of one is history. */
  forget(): void {
    if (this.#known.length === 0) return;
    this.#known = [];
    this.#hooks.known([]);
  }

  /** The server `from` said that it takes no clients, and who does. True when requests now go elsewhere. */
  async elsewhere(servers: readonly unknown[], from: Base, why: 'refused' | 'sent-away' = 'refused'): Promise<boolean> {
    this.heard(servers);
    if (from !== this.#current) return true;
    // Told to come again, and here as well as anywhere.
    if (servers.some((address) => baseOf(address, this.#here) === from)) return false;
    this.#closed.add(from);
    await this.#look(why);
    return this.#current !== from;
  }

  /** The server `from` did not answer. True when requests now go elsewhere. */
  async silent(from: Base): Promise<boolean> {
    if (from !== this.#current) return true;
    if (this.#others().length === 0) return false;
    await this.#look('silent');
    return this.#current !== from;
  }

  /** The server `from` has an earlier state of the pool than this page has seen: it is left, and not asked for more. */
  async behind(from: Base): Promise<void> {
    if (from !== this.#current) return;
    this.#closed.add(from);
    this.#behind = true;
    await this.#look('behind');
  }

  /** There is a live connection: all is well. */
  arrived(): void {
    this.#closed.clear();
    this.#behind = false;
    if (!this.#looking) this.#set({ state: 'settled' });
  }

  #others(): Base[] {
    return [...new Set([...this.#known, ''])].filter((base) => base !== this.#current);
  }

  #look(why: Why): Promise<void> {
    this.#looking ??= this.#find(why).finally(() => (this.#looking = null));
    return this.#looking;
  }

  async #find(why: Why): Promise<void> {
    this.#set({ state: 'looking', why });
    await new Promise<void>((resolve) => this.#world.later(this.#world.random() * spread[why], resolve));
    // The current one is asked first, unless it has said no: a moment's silence is no reason to go.
    // Those that took clients when last heard come before those that stood by.
    const others = shuffled(this.#others(), this.#world.random);
    const active = (base: Base) => this.#active.has(base);
    const candidates = [this.#current, ...others.filter(active), ...others.filter((base) => !active(base))];
    const choice: Choice = await firstReady(
      candidates.filter((base) => !this.#closed.has(base)),
      this.#world,
    );
    const answered = choice.answered || this.#closed.size > 0;
    const behind = choice.behind || this.#behind;
    this.#closed.clear();
    this.#behind = false;
    if (choice.base === null) {
      this.#set({ state: 'nowhere', answered, behind });
      return;
    }
    if (choice.base !== this.#current) {
      this.#current = choice.base;
      this.#hooks.moved(choice.base, why === 'silent');
    }
    this.#set({ state: 'settled' });
  }

  #set(where: Where): void {
    if (where.state === 'settled' && this.#where.state === 'settled') return;
    this.#where = where;
    this.#hooks.where(where);
  }
}
