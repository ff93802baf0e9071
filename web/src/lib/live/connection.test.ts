import { beforeEach, describe, expect, it } from 'vitest';
import { backoff } from './backoff';
import { LiveConnection, type Socket, type Status } from './connection';
import type { ServerFrame } from './events';

class FakeSocket implements Socket {
  onopen = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: (() => void) | null = null;
  sent: unknown[] = [];
  closed = false;
  send(text: string) {
    this.sent.push(JSON.parse(text));
  }
  close() {
    this.closed = true;
  }
  say(frame: unknown) {
    this.onmessage?.({ data: JSON.stringify(frame) });
  }
  breaks() {
    this.onclose?.();
  }
}

const welcome = { type: 'welcome', me: {}, time: '', epoch: 0 };
const roster = { count: 0, limited: false, people: [] };

let sockets: FakeSocket[];
let timers: { at: number; run: () => void }[];
let now: number;
let held: Map<number, number>;
let statuses: Status[];
let frames: ServerFrame[];
let questions: number;
let seen: number;
let live: LiveConnection;

function pass(milliseconds: number) {
  now += milliseconds;
  const due = timers.filter((timer) => timer.at <= now);
  timers = timers.filter((timer) => timer.at > now);
  for (const timer of due) timer.run();
}

beforeEach(() => {
  sockets = [];
  timers = [];
  now = 1000;
  held = new Map();
  statuses = [];
  frames = [];
  questions = 0;
  seen = 0;
  live = new LiveConnection(
    {
      open: () => {
        const socket = new FakeSocket();
        sockets.push(socket);
        return socket;
      },
      now: () => now,
      random: () => 0.5,
      later: (milliseconds, run) => {
        const timer = { at: now + milliseconds, run };
        timers.push(timer);
        return () => (timers = timers.filter((other) => other !== timer));
      },
    },
    {
      status: (status) => statuses.push(status),
      frame: (frame) => frames.push(frame),
      accepts: (epoch) => epoch >= seen,
      cursor: (room) => (held.has(room) ? { after: held.get(room)!, epoch: 0 } : null),
      refused: () => (questions += 1),
    },
  );
});

describe('LiveConnection', () => {
  it('joins all its rooms in one frame, each from where it is', () => {
    held.set(5, 120);
    live.join([5, 6]);
    live.start();
    sockets[0]!.say(welcome);
    expect(sockets[0]!.sent).toEqual([
      {
        type: 'join',
        rooms: [
          { room: 5, after: 120, epoch: 0 },
          { room: 6, after: null },
        ],
      },
    ]);
    expect(live.status).toEqual({ state: 'open', joining: 2, joined: 0 });
    sockets[0]!.say({ type: 'joined', room: 5, head: 121, roster });
    expect(live.status).toMatchObject({ joining: 2, joined: 1 });
    sockets[0]!.say({ type: 'joined', room: 6, head: 1, roster });
    expect(live.status).toMatchObject({ joining: 2, joined: 2 });
  });

  it('comes back by itself, says since when it is away, and asks for what it missed', () => {
    live.join([5]);
    live.start();
    sockets[0]!.say(welcome);
    now = 5000;
    sockets[0]!.breaks();
    expect(live.status).toMatchObject({ state: 'waiting', since: 5000, attempt: 1 });
    pass(60_000);
    expect(live.status).toMatchObject({ state: 'connecting', since: 5000 });
    held.set(5, 130);
    sockets[1]!.say(welcome);
    expect(sockets[1]!.sent).toEqual([{ type: 'join', rooms: [{ room: 5, after: 130, epoch: 0 }] }]);
    expect(live.status).toMatchObject({ state: 'open' });
  });

  it('waits longer after each failure, within a bound, and asks whether the session is still good', () => {
    live.start();
    const waits: number[] = [];
    for (let i = 0; i < 12; i++) {
      sockets.at(-1)!.breaks();
      const status = live.status;
      if (status.state !== 'waiting') throw new Error(status.state);
      waits.push(status.until - now);
      pass(status.until - now);
    }
    expect(waits[0]).toBeLessThan(1000);
    expect(waits).toEqual([...waits].sort((a, b) => a - b));
    expect(Math.max(...waits)).toBeLessThanOrEqual(30_200);
    expect(questions).toBe(12);
  });

  it('goes over to another server at once, and continues there from where it was', () => {
    live.join([5]);
    live.start();
    sockets[0]!.say(welcome);
    held.set(5, 130);
    now = 7000;
    live.renew();
    expect(sockets[0]!.closed).toBe(true);
    expect(live.status).toMatchObject({ state: 'connecting', since: 7000 });
    sockets[0]!.say({ type: 'rooms' });
    expect(frames.filter((frame) => frame.type === 'rooms')).toHaveLength(0);
    sockets[1]!.say(welcome);
    expect(sockets[1]!.sent).toEqual([{ type: 'join', rooms: [{ room: 5, after: 130, epoch: 0 }] }]);
    expect(live.status).toMatchObject({ state: 'open' });
    // Also out of the middle of a wait, which then ends.
    live.lost();
    live.renew();
    pass(5000);
    expect(sockets).toHaveLength(3);
  });

  it('does not come to life by a move', () => {
    live.renew();
    expect(sockets).toHaveLength(0);
  });

  it('does not stay with a server that was left behind, and says nothing of it to anybody else', () => {
    live.join([5]);
    live.start();
    seen = 1000;
    sockets[0]!.say({ ...welcome, epoch: 999 });
    expect(live.status.state).toBe('waiting');
    expect(sockets[0]!.closed).toBe(true);
    expect(sockets[0]!.sent).toEqual([]);
    expect(frames).toEqual([]);
    pass(60_000);
    sockets[1]!.say({ ...welcome, epoch: 1000 });
    expect(live.status.state).toBe('open');
  });

  it('gives up an attempt that gets no welcome', () => {
    live.start();
    pass(10_000);
    expect(questions).toBe(1);
    expect(live.status.state).toBe('waiting');
    expect(sockets[0]!.closed).toBe(true);
  });

  it('can be hurried, and ignores a socket that it has left', () => {
    live.start();
    sockets[0]!.say(welcome);
    live.lost();
    expect(live.status.state).toBe('waiting');
    live.hurry();
    expect(sockets).toHaveLength(2);
    sockets[0]!.say({ type: 'rooms' });
    expect(frames.filter((frame) => frame.type === 'rooms')).toHaveLength(0);
  });

  it('does not come back when the session has ended', () => {
    live.start();
    sockets[0]!.say(welcome);
    sockets[0]!.say({ type: 'bye', reason: 'session-ended' });
    sockets[0]!.breaks();
    pass(120_000);
    expect(live.status).toEqual({ state: 'stopped', reason: 'session-ended' });
    expect(sockets).toHaveLength(1);
  });

  it('does not join again a room from which it was put out', () => {
    live.join([5, 6]);
    live.start();
    sockets[0]!.say(welcome);
    sockets[0]!.say({ type: 'kicked', room: 5, reason: 'You are no longer a member.' });
    sockets[0]!.breaks();
    pass(60_000);
    sockets[1]!.say(welcome);
    expect(sockets[1]!.sent).toEqual([{ type: 'join', rooms: [{ room: 6, after: null }] }]);
  });

  it('does not stumble over what it does not know', () => {
    live.start();
    sockets[0]!.say(welcome);
    sockets[0]!.onmessage?.({ data: 'not json' });
    sockets[0]!.onmessage?.({ data: new ArrayBuffer(3) });
    sockets[0]!.say({ type: 'from-the-future' });
    expect(live.status.state).toBe('open');
  });
});

it('spreads clients that fail together', () => {
  const waits = Array.from({ length: 50 }, (_, i) => backoff(4, () => i / 50));
  expect(new Set(waits).size).toBe(50);
  expect(Math.min(...waits)).toBeGreaterThanOrEqual(200);
  expect(Math.max(...waits)).toBeLessThanOrEqual(8200);
});
