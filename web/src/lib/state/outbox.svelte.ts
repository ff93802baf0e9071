// Sends what was written: in order, one at a time in each room, and again after a failure with the same client id, so
// that the room gets it exactly once.

import { SvelteMap } from 'svelte/reactivity';
import { api, Problem, type FileInfo, type MessageEntry } from '../api';
import { backoff } from '../live/backoff';
import { freshId } from '../text/ids';
import { afterEvent, nextToSend, restored, type Pending, type PendingEvent } from '../timeline/pending';
import { sentence } from '../ui/sentence';
import { load, save } from '../ui/storage';

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
  onAccepted: (entry: MessageEntry) => void = () => {};

  /** Takes up what a reload of the page interrupted. */
  start(person: number): void {
    this.#key = `outbox.${person}`;
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

  discard(room: number, clientId: string): void {
    this.#apply(room, { type: 'discarded', clientId });
  }

  /** The room shows these; they need no pending row any more. */
  shown(room: number, clientIds: ReadonlySet<string>): void {
    this.#apply(room, { type: 'shown', clientIds });
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
    const { clientId } = pending;
    this.#apply(room, { type: 'sent', clientId });
    try {
      const entry = await api.post(room, {
        client_id: clientId,
        text: pending.text,
        ...(pending.title === null ? {} : { title: pending.title }),
        ...(pending.alert ? { alert: true } : {}),
        ...(pending.files.length > 0 ? { files: pending.files.map((file) => file.id) } : {}),
      });
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

export const outbox = new Outbox();
