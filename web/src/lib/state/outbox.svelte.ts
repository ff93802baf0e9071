// Sends what was written: in order, one at a time in each room, and again after a failure with the same client id, so
// that the room gets it exactly once. What was accepted not long ago is kept beside, so that it can be said again should the pool go on
// in another site that had not got it yet.

import { SvelteMap } from 'svelte/reactivity';
import { api, Problem, type FileInfo, type MessageEntry, type PostedEntry } from '../api';
import { backoff } from '../live/backoff';
import { freshId } from '../text/ids';
import { afterCut, afterJoin, afterLook, recent, uncertain, withKept, type Kept, type Parted } from '../timeline/kept';
import { afterEvent, nextToSend, restored, type Pending, type PendingEvent } from '../timeline/pending';
import { sentence } from '../ui/sentence';
import { load, save } from '../ui/storage';
import { pool } from './pool.svelte';

export interface Draft {
  text: string;
  title: string | null;
  alert: boolean;
  files: readonly FileInfo[];
}

const none: readonly Pending[] = [];

class Outbox {
  #rooms = new SvelteMap<number, readonly Pending[]>();
  #attempts = new Map<number, number>();
  #timers = new Map<number, ReturnType<typeof setTimeout>>();
  #key = '';
  #keptKey = '';
  #kept: readonly Kept[] = [];
  #looking = new Set<string>();
  onAccepted: (entry: PostedEntry) => void = () => {};

  /** Takes up what a reload of the page interrupted. */
  start(person: number): void {
    this.#key = `outbox.${person}`;
    this.#keptKey = `accepted.${person}`;
    this.#kept = this.#stored();
    for (const [room, list] of load<[number, Pending[]][]>(this.#key, 'session') ?? []) {
      this.#rooms.set(room, restored(list));
      void this.#pump(room);
    }
  }

  stop(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
    this.#rooms.clear();
    this.#key = '';
    this.#keptKey = '';
    this.#kept = [];
  }

  /** Nobody is signed in here any more: what was said is not left lying about. */
  wipe(person: number): void {
    save(`accepted.${person}`, null);
  }

  of(room: number): readonly Pending[] {
    return this.#rooms.get(room) ?? none;
  }

  post(room: number, draft: Draft): void {
    const pending: Pending = {
      clientId: freshId(),
      room,
      at: new Date().toISOString(),
      text: draft.text,
      title: draft.title,
      alert: draft.alert,
      files: draft.files,
      state: 'waiting',
      reason: null,
      doubt: false,
      putOffAt: null,
    };
    this.#put(room, [...this.of(room), pending]);
    void this.#pump(room);
  }

  again(room: number, clientId: string): void {
    this.#apply(room, { type: 'again', clientId });
    void this.#pump(room);
  }

  /** Sends everything again that was not preserved in a room. */
  allAgain(room: number): void {
    for (const item of this.of(room)) {
      if (item.state === 'lost') this.#apply(room, { type: 'again', clientId: item.clientId });
    }
    void this.#pump(room);
  }

  /** The rooms in which something of one's own was not preserved, and how much. */
  get lost(): readonly { room: number; count: number }[] {
    const counts = [...this.#rooms].map(([room, list]) => ({
      room,
      count: list.filter((item) => item.state === 'lost').length,
    }));
    return counts.filter(({ count }) => count > 0);
  }

  discard(room: number, clientId: string): void {
    this.#apply(room, { type: 'discarded', clientId });
  }

  /** The room shows these, under this epoch; they need no pending row any more. */
  shown(room: number, entries: readonly MessageEntry[], epoch: number): void {
    const ids = new Map(entries.flatMap((entry) => (entry.client_id ? [[entry.client_id, entry]] : [])));
    for (const pending of this.of(room)) {
      // Its answer may never come.
      const entry = ids.get(pending.clientId);
      if (entry) this.#keep(pending, entry.seq, epoch);
    }
    this.#apply(room, { type: 'shown', clientIds: new Set(ids.keys()) });
  }

  /** A room goes on differently after `through`: what one said there beyond that is not there any more. */
  cut(room: number, epoch: number, through: number): void {
    this.#part(afterCut(this.#stored(), room, epoch, through));
  }

  /** A room goes on under `epoch` with all that this page had of it. */
  joined(room: number, epoch: number): void {
    this.#part({ kept: afterJoin(this.#stored(), room, epoch), lost: [] });
  }

  /** Looks up what became of one's messages in rooms of which the server says nothing by itself. */
  async look(epoch: number, says: (room: number) => boolean): Promise<void> {
    if (epoch === 0) return;
    for (const item of uncertain(this.#stored(), epoch)) {
      if (says(item.room) || this.#looking.has(item.clientId)) continue;
      this.#looking.add(item.clientId);
      try {
        const there = await this.#isThere(item);
        if (there !== null) this.#part(afterLook(this.#stored(), item.clientId, epoch, there));
      } finally {
        this.#looking.delete(item.clientId);
      }
    }
  }

  /** The connection is back: do not wait for the timers. */
  hurry(): void {
    for (const room of this.#rooms.keys()) {
      this.#attempts.delete(room);
      void this.#pump(room);
    }
  }

  async #pump(room: number): Promise<void> {
    const pending = nextToSend(this.of(room));
    if (!pending) return;
    clearTimeout(this.#timers.get(room));
    if (pool.isBehind) {
      this.#later(room, undefined);
      return;
    }
    const { clientId } = pending;
    this.#apply(room, { type: 'sent', clientId });
    try {
      const entry = await api.post(room, {
        client_id: clientId,
        text: pending.text,
        ...(pending.title === null ? {} : { title: pending.title }),
        ...(pending.alert ? { alert: true } : {}),
        ...(pending.files.length > 0 ? { files: pending.files.map((file) => file.id) } : {}),
        // A server that was left behind takes nothing from somebody who knows better.
        ...(pool.seen.epoch > 0 ? { epoch: pool.seen.epoch } : {}),
      });
      this.#keep(pending, entry.seq, entry.epoch ?? 0);
      this.#attempts.delete(room);
      this.#apply(room, { type: 'accepted', clientId });
      this.onAccepted(entry);
    } catch (problem) {
      if (problem instanceof Problem && problem.passing) {
        if (problem.unknown) this.#apply(room, { type: 'unanswered', clientId });
        else if (problem.code === 'unavailable') this.#putOff(room, clientId, problem);
        else this.#apply(room, { type: 'held', clientId });
        this.#later(room, problem.retryAfter);
        return;
      }
      if (problem instanceof Problem && problem.code === 'not-signed-in') {
        this.#apply(room, { type: 'held', clientId });
        return;
      }
      this.#apply(room, { type: 'refused', clientId, reason: sentence(problem) });
    }
    void this.#pump(room);
  }

  /** Whether a message is where it was; null when that cannot be told now. */
  async #isThere(item: Kept): Promise<boolean | null> {
    try {
      return (await api.entry(item.room, item.seq)).client_id === item.clientId;
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      return problem.status === 404 ? false : null;
    }
  }

  #keep(pending: Pending, seq: number, epoch: number): void {
    // A server alone has no other site.
    if (epoch === 0) return;
    const { clientId, room, at, text, title, alert, files } = pending;
    const now = Date.now();
    const item: Kept = { clientId, room, seq, epoch, at, since: now, text, title, alert, files };
    this.#part({ kept: withKept(this.#stored(), item, now), lost: [] });
  }

  /** Another page of the same person may have added to it. */
  #stored(): readonly Kept[] {
    const stored = this.#keptKey ? load<Kept[]>(this.#keptKey) : null;
    return recent(Array.isArray(stored) ? stored : this.#kept, Date.now());
  }

  #part({ kept, lost }: Parted): void {
    this.#kept = kept;
    if (this.#keptKey) save(this.#keptKey, kept.length > 0 ? kept : null);
    for (const room of new Set(lost.map((item) => item.room))) {
      const items = lost.filter((item) => item.room === room).map(asLost);
      this.#apply(room, { type: 'lost', items });
    }
  }

  #putOff(room: number, clientId: string, problem: Problem): void {
    this.#apply(room, { type: 'put-off', clientId, reason: sentence(problem), now: Date.now() });
  }

  #later(room: number, seconds: number | undefined): void {
    const attempt = this.#attempts.get(room) ?? 0;
    this.#attempts.set(room, attempt + 1);
    // Not all at the second that the server named.
    const wait = seconds ? seconds * (1000 + Math.random() * 500) : backoff(attempt + 1, Math.random);
    clearTimeout(this.#timers.get(room));
    this.#timers.set(
      room,
      setTimeout(() => void this.#pump(room), wait),
    );
  }

  #apply(room: number, event: PendingEvent): void {
    const before = this.of(room);
    const after = afterEvent(before, event);
    if (after !== before) this.#put(room, after);
  }

  #put(room: number, list: readonly Pending[]): void {
    if (list.length > 0) this.#rooms.set(room, list);
    else this.#rooms.delete(room);
    if (this.#key) save(this.#key, this.#rooms.size > 0 ? [...this.#rooms] : null, 'session');
  }
}

function asLost(item: Kept): Pending {
  const { clientId, room, at, text, title, alert, files } = item;
  return { clientId, room, at, text, title, alert, files, state: 'lost', reason: null, doubt: false, putOffAt: null };
}

export const outbox = new Outbox();
