// Keeps one live connection open: connects, joins, notices that it is gone, waits, and comes back to where it was.
// The socket, the clock and the dice are given from outside, so that all of this can be tested without any of them.

import { backoff } from './backoff';
import { frameFrom, type ByeReason, type ClientFrame, type ServerFrame } from './events';

export type Status =
  | { state: 'idle' }
  | { state: 'connecting'; attempt: number; since: number | null }
  | { state: 'open'; joining: number; joined: number }
  | { state: 'waiting'; attempt: number; until: number; since: number; reason: ByeReason | null }
  | { state: 'stopped'; reason: ByeReason };

export interface Socket {
  onopen: (() => void) | null;
  onmessage: ((event: { data: unknown }) => void) | null;
  onclose: (() => void) | null;
  send(text: string): void;
  close(): void;
}

export interface World {
  open(): Socket;
  now(): number;
  random(): number;
  later(milliseconds: number, run: () => void): () => void;
}

export interface Cursor {
  after: number;
  epoch: number;
}

export interface Hooks {
  status(status: Status): void;
  frame(frame: ServerFrame): void;
  /** Whether a server of this epoch is one to stay with; if not, the connection counts as failed. */
  accepts(epoch: number, site: string | null): boolean;
  /** The last number held of a room, and under which epoch, so that the server can send what was missed; null to begin now. */
  cursor(room: number): Cursor | null;
  /** Asked after a connection that never got as far as a welcome: is the session still good? */
  refused(): void;
}

/** The server must say welcome within this time, or the attempt counts as failed. */
const patience = 10_000;

export class LiveConnection {
  #world: World;
  #hooks: Hooks;
  #socket: Socket | null = null;
  #status: Status = { state: 'idle' };
  #rooms = new Set<number>();
  #answered = new Set<number>();
  #asked = new Set<number>();
  #attempt = 0;
  #since: number | null = null;
  #bye: ByeReason | null = null;
  #cancel: () => void = () => {};

  constructor(world: World, hooks: Hooks) {
    this.#world = world;
    this.#hooks = hooks;
  }

  get status(): Status {
    return this.#status;
  }

  get isOpen(): boolean {
    return this.#status.state === 'open';
  }

  start(): void {
    if (this.#status.state === 'idle' || this.#status.state === 'stopped') {
      this.#attempt = 0;
      this.#since = null;
      this.#connect();
    }
  }

  stop(): void {
    this.#cancel();
    this.#drop();
    this.#rooms.clear();
    this.#set({ state: 'idle' });
  }

  /** Skips the rest of the wait: the network is back, or somebody pressed the button. */
  hurry(): void {
    if (this.#status.state === 'waiting') this.#connect();
  }

  /** There is another server to go to: leaves the connection as it is, and comes back there to where it was. */
  renew(): void {
    if (this.#status.state === 'idle' || this.#status.state === 'stopped') return;
    this.#since ??= this.#world.now();
    this.#attempt = 0;
    this.#drop();
    this.#connect();
  }

  /** The browser says that the network is gone: do not wait for a time-out to notice. */
  lost(): void {
    if (this.#status.state === 'open' || this.#status.state === 'connecting') this.#fail();
  }

  join(rooms: Iterable<number>): void {
    const fresh = [...rooms].filter((room) => !this.#rooms.has(room));
    for (const room of fresh) this.#rooms.add(room);
    if (this.isOpen) this.#sendJoin(fresh);
  }

  leave(room: number): void {
    if (!this.#rooms.delete(room)) return;
    this.#asked.delete(room);
    this.#answered.delete(room);
    if (this.isOpen) {
      this.send({ type: 'leave', room });
      this.#report();
    }
  }

  has(room: number): boolean {
    return this.#rooms.has(room);
  }

  send(frame: ClientFrame): void {
    if (this.isOpen) this.#socket?.send(JSON.stringify(frame));
  }

  #connect(): void {
    this.#cancel();
    this.#set({ state: 'connecting', attempt: this.#attempt, since: this.#since });
    const socket = this.#world.open();
    this.#socket = socket;
    this.#bye = null;
    socket.onmessage = (event) => {
      const frame = frameFrom(event.data);
      if (frame && socket === this.#socket) this.#receive(frame);
    };
    socket.onclose = () => {
      if (socket !== this.#socket) return;
      if (this.#status.state === 'connecting') this.#hooks.refused();
      if (this.#status.state === 'connecting' || this.#status.state === 'open') this.#fail();
    };
    this.#cancel = this.#world.later(patience, () => {
      this.#hooks.refused();
      this.#fail();
    });
  }

  #receive(frame: ServerFrame): void {
    switch (frame.type) {
      case 'welcome':
        if (!this.#hooks.accepts(frame.epoch, frame.site ?? null)) {
          // What was looked for meanwhile may have led elsewhere already.
          if (this.#status.state === 'connecting') this.#fail();
          return;
        }
        this.#cancel();
        this.#attempt = 0;
        this.#since = null;
        this.#asked.clear();
        this.#answered.clear();
        this.#set({ state: 'open', joining: 0, joined: 0 });
        this.#hooks.frame(frame);
        this.#sendJoin([...this.#rooms]);
        return;
      case 'joined':
        this.#hooks.frame(frame);
        this.#answered.add(frame.room);
        this.#report();
        return;
      case 'refused':
      case 'kicked':
        this.#rooms.delete(frame.room);
        this.#answered.add(frame.room);
        this.#hooks.frame(frame);
        this.#report();
        return;
      case 'bye':
        this.#bye = frame.reason;
        this.#hooks.frame(frame);
        if (frame.reason === 'session-ended') {
          this.#cancel();
          this.#drop();
          this.#set({ state: 'stopped', reason: frame.reason });
        }
        return;
      default:
        this.#hooks.frame(frame);
    }
  }

  #sendJoin(rooms: number[]): void {
    if (rooms.length === 0) return;
    for (const room of rooms) this.#asked.add(room);
    // A batch has a bound, so that one frame of a person who follows thousands of rooms stays small.
    for (let from = 0; from < rooms.length; from += 500) {
      const batch = rooms.slice(from, from + 500);
      this.send({
        type: 'join',
        rooms: batch.map((room) => ({ room, ...(this.#hooks.cursor(room) ?? { after: null }) })),
      });
    }
    this.#report();
  }

  #report(): void {
    if (this.#status.state !== 'open') return;
    const joined = [...this.#asked].filter((room) => this.#answered.has(room)).length;
    this.#set({ state: 'open', joining: this.#asked.size, joined });
    if (joined === this.#asked.size) {
      this.#asked.clear();
      this.#answered.clear();
    }
  }

  #fail(): void {
    this.#cancel();
    this.#drop();
    const now = this.#world.now();
    this.#since ??= now;
    const wait = backoff(this.#attempt, this.#world.random);
    this.#attempt += 1;
    this.#set({ state: 'waiting', attempt: this.#attempt, until: now + wait, since: this.#since, reason: this.#bye });
    this.#cancel = this.#world.later(wait, () => this.#connect());
  }

  #drop(): void {
    const socket = this.#socket;
    this.#socket = null;
    if (!socket) return;
    socket.onmessage = null;
    socket.onclose = null;
    socket.close();
  }

  #set(status: Status): void {
    this.#status = status;
    this.#hooks.status(status);
  }
}
