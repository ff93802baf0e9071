import { beforeEach, describe, expect, it } from 'vitest';
import type { Base } from './addresses';
import { firstReady, type Found } from './choice';
import { Follower, type Where } from './follower';

const here = { origin: 'http://one', protocol: 'http:' };

/** What each server says; a promise that never ends is a server that hangs. */
let servers: Map<Base, Found | 'hangs'>;
let asked: Base[];
let timers: { at: number; run: () => void }[];
let now: number;
let dice: number;
let wheres: Where[];
let moves: { base: Base; abandon: boolean }[];
let known: (readonly Base[])[];
let follower: Follower;

const world = {
  ask: (base: Base): Promise<Found> => {
    asked.push(base);
    const found = servers.get(base) ?? 'silent';
    // As the page does it: a server that hangs is given up after a while.
    if (found === 'hangs') return new Promise((resolve) => world.later(2500, () => resolve('silent')));
    return Promise.resolve(found);
  },
  random: () => dice,
  later: (milliseconds: number, run: () => void) => {
    const timer = { at: now + milliseconds, run };
    timers.push(timer);
    return () => (timers = timers.filter((other) => other !== timer));
  },
};

/** Lets time pass in small steps, with everything that waits for nothing but its turn. */
async function pass(milliseconds: number) {
  const end = now + milliseconds;
  for (;;) {
    for (let i = 0; i < 20; i++) await Promise.resolve();
    const due = timers.filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at)[0];
    if (!due) break;
    now = due.at;
    timers = timers.filter((timer) => timer !== due);
    due.run();
  }
  now = end;
}

beforeEach(() => {
  servers = new Map();
  asked = [];
  timers = [];
  now = 0;
  dice = 0.5;
  wheres = [];
  moves = [];
  known = [];
  follower = new Follower(here, world, {
    where: (where) => wheres.push(where),
    moved: (base, abandon) => moves.push({ base, abandon }),
    known: (list) => known.push(list),
  });
});

describe('firstReady', () => {
  it('takes the first that is ready, and asks no further', async () => {
    servers = new Map<Base, Found>([
      ['a', 'unready'],
      ['b', 'ready'],
      ['c', 'ready'],
    ]);
    expect(await firstReady(['a', 'b', 'c'], world)).toEqual({ base: 'b', answered: true, behind: false });
    expect(asked).toEqual(['a', 'b']);
  });

  it('does not wait for one that hangs', async () => {
    servers = new Map<Base, Found | 'hangs'>([
      ['a', 'hangs'],
      ['b', 'hangs'],
      ['c', 'ready'],
    ]);
    const choice = firstReady(['a', 'b', 'c'], world);
    await pass(2300);
    expect(await choice).toMatchObject({ base: 'c' });
  });

  it('says whether anybody answered', async () => {
    servers = new Map<Base, Found>([
      ['a', 'silent'],
      ['b', 'unready'],
    ]);
    expect(await firstReady(['a', 'b'], world)).toEqual({ base: null, answered: true, behind: false });
    expect(await firstReady(['a'], world)).toEqual({ base: null, answered: false, behind: false });
    expect(await firstReady([], world)).toEqual({ base: null, answered: false, behind: false });
  });
});

describe('Follower', () => {
  it('stays with a server that was only silent for a moment', async () => {
    follower.heard(['http://one', 'http://two']);
    servers = new Map<Base, Found>([
      ['', 'ready'],
      ['http://two', 'ready'],
    ]);
    const moved = follower.silent('');
    await pass(1000);
    expect(await moved).toBe(false);
    expect(follower.current).toBe('');
    expect(follower.where.state).toBe('settled');
  });

  it('goes to another when the one it has is gone, and what was under way is given up', async () => {
    follower.heard(['http://one', 'http://two', 'http://three']);
    servers = new Map<Base, Found>([
      ['http://two', 'ready'],
      ['http://three', 'ready'],
    ]);
    const moved = follower.silent('');
    await pass(1000);
    expect(await moved).toBe(true);
    expect(moves).toEqual([{ base: follower.current, abandon: true }]);
    expect(['http://two', 'http://three']).toContain(follower.current);
    expect(wheres.map((where) => where.state)).toEqual(['looking', 'settled']);
  });

  it('does not go back by itself when its first server is there again', async () => {
    follower.heard(['http://one', 'http://two']);
    servers = new Map<Base, Found>([['http://two', 'ready']]);
    void follower.silent('');
    await pass(1000);
    servers.set('', 'ready');
    follower.heard(['http://one', 'http://two']);
    void follower.silent('http://two');
    await pass(1000);
    expect(follower.current).toBe('http://two');
    servers.set('http://two', 'silent');
    void follower.silent('http://two');
    await pass(1000);
    expect(follower.current).toBe('');
    expect(moves).toHaveLength(2);
  });

  it('follows a standby to those that take clients, and does not ask it again', async () => {
    servers = new Map<Base, Found>([
      ['', 'ready'],
      ['http://two', 'ready'],
    ]);
    const moved = follower.elsewhere(['http://two'], '');
    await pass(1000);
    expect(await moved).toBe(true);
    expect(asked).toEqual(['http://two']);
    expect(moves).toEqual([{ base: 'http://two', abandon: false }]);
  });

  it('one search serves all who ask, and who comes late is simply sent on', async () => {
    servers = new Map<Base, Found>([['http://two', 'ready']]);
    const all = [follower.elsewhere(['http://two'], ''), follower.elsewhere(['http://two'], ''), follower.silent('')];
    await pass(1000);
    expect(await Promise.all(all)).toEqual([true, true, true]);
    expect(asked).toEqual(['http://two']);
    expect(await follower.elsewhere(['http://two'], '')).toBe(true);
    expect(asked).toEqual(['http://two']);
  });

  it('says when no server takes clients, and finds one that does later', async () => {
    servers = new Map<Base, Found>([
      ['', 'unready'],
      ['http://two', 'silent'],
    ]);
    const moved = follower.elsewhere([], '');
    await pass(1000);
    expect(await moved).toBe(false);
    expect(follower.where).toEqual({ state: 'nowhere', answered: true, behind: false });
    servers.set('http://two', 'ready');
    void follower.elsewhere(['http://two'], '');
    await pass(1000);
    expect(follower.current).toBe('http://two');
    expect(follower.where.state).toBe('settled');
  });

  it('without an answer from anybody it is the network here that is gone', async () => {
    follower.heard(['http://one', 'http://two']);
    void follower.silent('');
    await pass(1000);
    expect(follower.where).toEqual({ state: 'nowhere', answered: false, behind: false });
    follower.arrived();
    expect(follower.where.state).toBe('settled');
  });

  it('leaves a server that was left behind, and does not go to another such one', async () => {
    follower.heard(['http://one', 'http://two'], ['http://three']);
    servers = new Map<Base, Found>([
      ['', 'ready'],
      ['http://two', 'behind'],
      ['http://three', 'unready'],
    ]);
    void follower.behind('');
    await pass(1000);
    expect(follower.where).toEqual({ state: 'nowhere', answered: true, behind: true });
    expect(asked).not.toContain('');
    servers.set('http://three', 'ready');
    void follower.behind('');
    await pass(1000);
    expect(follower.current).toBe('http://three');
    expect(follower.where.state).toBe('settled');
    void follower.behind('');
    await pass(1000);
    expect(follower.current).toBe('http://three');
  });

  it('asks those first that took clients when last heard', async () => {
    for (dice of [0.1, 0.5, 0.9]) {
      asked = [];
      follower.heard(['http://two', 'http://three'], ['http://four', 'http://five']);
      void follower.silent('');
      await pass(6000);
      expect(asked[0]).toBe('');
      expect(asked.slice(1, 3).sort()).toEqual(['http://three', 'http://two']);
      expect(asked.slice(3).sort()).toEqual(['http://five', 'http://four']);
    }
  });

  it('a server alone has nobody else to ask', async () => {
    follower.heard([]);
    expect(await follower.silent('')).toBe(false);
    expect(asked).toEqual([]);
    expect(wheres).toEqual([]);
  });

  it('told to come again, it comes again where it was', async () => {
    expect(await follower.elsewhere(['http://two', 'http://one'], '', 'sent-away')).toBe(false);
    expect(asked).toEqual([]);
  });

  it('those who are sent away together do not all leave at the same moment', async () => {
    servers = new Map<Base, Found>([['http://two', 'ready']]);
    dice = 0.9;
    void follower.elsewhere(['http://two'], '', 'sent-away');
    await pass(2600);
    expect(asked).toEqual([]);
    await pass(200);
    expect(follower.current).toBe('http://two');
  });

  it('remembers servers that took clients once, behind those that do, until there is no pool', async () => {
    follower.heard(['http://two', 'http://one'], ['http://three']);
    follower.heard(['http://four']);
    expect(follower.known).toEqual(['http://four', 'http://two', '', 'http://three']);
    expect(known).toHaveLength(2);
    follower.heard(['http://four']);
    expect(known).toHaveLength(2);
    follower.forget();
    expect(follower.known).toEqual([]);
  });
});
