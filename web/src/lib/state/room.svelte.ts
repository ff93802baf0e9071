// One room as it is read: its window of the log, who is there, who types, and where the reader wants to be.

import { tick } from 'svelte';
import { api, Problem, type Entry, type MessageEntry, type Page, type Person, type Roster } from '../api';
import { dayOf } from '../i18n/format';
import { outbox } from './outbox.svelte';
import { people } from './people.svelte';
import { rooms } from './rooms.svelte';
import { session } from './session.svelte';
import type { Cursor } from '../live/connection';
import { rowsOf, type CutNote } from '../timeline/rows';
import {
  cutAfter,
  fromPage,
  heldAtMost,
  isMessage,
  withChange,
  withFresh,
  withLive,
  withNewer,
  withOlder,
  withoutNewest,
  withoutOldest,
  type Window,
} from '../timeline/window';

const pageSize = 100;
/** Messages that are fetched one by one; for more, the page is read anew. */
const fetchedSingly = 20;
/** Notes of a room at most. */
const notesAtMost = 10;

/** Where the timeline should go next; a new object each time, so that the same wish twice is still a wish. */
export type Wish = { to: 'end' } | { to: 'unread' } | { to: 'seq'; seq: number; mark: boolean };

export class RoomView {
  readonly id: number;
  window = $state.raw<Window | null>(null);
  state = $state<'empty' | 'loading' | 'ready' | 'failed'>('empty');
  problem = $state<unknown>(null);
  paging = $state<'older' | 'newer' | null>(null);
  pagingProblem = $state<unknown>(null);
  /** True while the rows that come or go are at the start of the list, so that it keeps its place from the end. */
  shift = $state(false);
  wish = $state.raw<Wish | null>(null);
  marked = $state<number | null>(null);
  unreadAfter = $state<number | null>(null);
  roster = $state.raw<Roster | null>(null);
  typing = $state.raw<readonly Person[]>([]);
  kicked = $state<string | null>(null);
  /** The room is on the screen, the window has the focus, and its end is in sight. */
  watched = false;
  /** Where the reader was when the room was left. */
  place: { key: string; offset: number } | 'end' = 'end';
  /** Where the log goes on differently than this page had it. */
  cuts = $state.raw<readonly CutNote[]>([]);
  /** The epoch of the pool under which the window is so. */
  epoch = 0;

  #typingTimers = new Map<number, ReturnType<typeof setTimeout>>();
  #filling = false;
  #generation = 0;
  /** The newest number heard of, also before anything was loaded. */
  #known = 0;
  #readAsked = 0;
  /** Grows when the window is replaced by another part of the room, which needs a fresh list. */
  part = $state(0);

  rows = $derived.by(() =>
    this.window
      ? rowsOf(this.window, outbox.of(this.id), {
          unreadAfter: this.unreadAfter,
          me: session.me.id,
          dayOf,
          cuts: this.cuts,
        })
      : [],
  );

  constructor(id: number) {
    this.id = id;
  }

  /**
   * The last number held, for joining the live events of a server of this epoch. Null while another part of the room is shown, unless that may
   * not be so any more.
   */
  cursor(epoch: number): Cursor | null {
    const window = this.window;
    if (!window || (window.moreAfter && this.epoch === epoch)) return null;
    return { after: window.through, epoch: this.epoch };
  }

  async open(at: number | null): Promise<void> {
    if (at !== null) return this.jumpTo(at);
    if (this.window && this.state === 'ready') return;
    const room = rooms.get(this.id);
    const read = room?.me.read ?? 0;
    const unread = room?.me.unread ?? 0;
    this.unreadAfter = unread > 0 ? read : null;
    // With much unread, begin where reading stopped; otherwise at the end, which then holds the divider.
    const far = unread > pageSize / 2 && read > 0;
    await this.#load(far ? { around: read, limit: pageSize } : { limit: pageSize }, () =>
      unread > 0 ? { to: 'unread' } : { to: 'end' },
    );
  }

  async jumpTo(seq: number): Promise<void> {
    const held = this.window?.entries;
    const first = held?.[0]?.seq ?? 0;
    const last = this.window?.through ?? 0;
    if (this.state === 'ready' && seq >= first && seq <= last && held?.some((entry) => entry.seq === seq)) {
      this.#mark(seq);
      this.wish = { to: 'seq', seq, mark: true };
      return;
    }
    await this.#load({ around: seq, limit: pageSize }, (page) => {
      this.#mark(page.focus ?? seq);
      return { to: 'seq', seq: page.focus ?? seq, mark: true };
    });
  }

  /** Goes to the first entry at or after a moment. */
  async jumpToTime(at: string): Promise<void> {
    await this.#load({ at, limit: pageSize }, (page) => {
      const seq = page.focus ?? page.entries[0]?.seq;
      return seq === undefined ? { to: 'end' } : { to: 'seq', seq, mark: false };
    });
  }

  async toEnd(): Promise<void> {
    if (this.window && !this.window.moreAfter) this.wish = { to: 'end' };
    else await this.#load({ limit: pageSize }, () => ({ to: 'end' }));
  }

  async older(): Promise<void> {
    const window = this.window;
    if (!window?.moreBefore || this.paging || this.pagingProblem) return;
    const first = window.entries[0];
    await this.#page('older', { ...(first ? { before: first.seq } : {}), limit: pageSize }, async (page) => {
      this.window = withoutNewest(this.window!, heldAtMost - page.entries.length);
      await tick();
      this.shift = true;
      this.window = withOlder(this.window, page);
      await tick();
      this.shift = false;
    });
  }

  async newer(): Promise<void> {
    const window = this.window;
    if (!window?.moreAfter || this.paging || this.pagingProblem) return;
    await this.#page('newer', { after: window.through, limit: pageSize }, async (page) => {
      this.window = withNewer(this.window!, page);
      await this.#trim();
    });
  }

  /** The log may have become another: what is held counts no more and is replaced by what there is. */
  async anew(): Promise<void> {
    if (!this.window) return;
    this.#known = 0;
    this.#readAsked = 0;
    // Joined from where the log is now; until the page is there, what was seen stays on the screen.
    this.window = { ...this.window, moreAfter: true };
    await this.#load({ limit: pageSize }, () => ({ to: 'end' }));
  }

  /**
   * The pool goes on with a log that has only the entries up to `through` of what is held; null if that is not known. Nothing of the rest stays on
   * the screen, since its numbers may be given again.
   */
  cut(epoch: number, through: number | null, lost: number | null, site: boolean): void {
    const before = this.epoch;
    this.epoch = epoch;
    this.#generation += 1;
    this.#filling = false;
    this.paging = null;
    this.#known = Math.min(this.#known, through ?? 0);
    this.#readAsked = 0;
    if (!this.window || before === 0) return void this.anew();
    if (through === null) {
      const note = { epoch, messages: null, since: null, site };
      return void this.anew().then(() => this.window && this.#note({ ...note, after: this.window.through }));
    }
    const { window, messages, stale } = cutAfter(this.window, through);
    const last = window.entries.findLast(isMessage);
    // What is held may not be all that was lost; but if it is, only the messages of it count.
    const held = this.window.entries.filter((entry) => entry.seq > through).length;
    const count = lost === null || held >= lost ? messages : lost;
    if ((lost ?? held) > 0) this.#note({ after: through, epoch, messages: count, since: last?.at ?? null, site });
    if (this.unreadAfter !== null && this.unreadAfter > through) this.unreadAfter = null;
    this.window = window;
    if (window.entries.length === 0 || stale.length > fetchedSingly) void this.anew();
    else void this.#refetch(stale);
  }

  /** The server goes on from here, under this epoch. */
  joined(epoch: number): void {
    if (this.window && epoch < this.epoch) void this.anew();
    this.epoch = epoch;
  }

  #note(note: CutNote): void {
    this.cuts = [...this.cuts.filter((other) => other.epoch !== note.epoch), note].slice(-notesAtMost);
  }

  /** Messages that had been changed by what is not there any more, as they read now. */
  async #refetch(stale: readonly number[]): Promise<void> {
    const generation = this.#generation;
    for (const seq of stale) {
      try {
        const fresh = await api.entry(this.id, seq);
        if (generation !== this.#generation || !this.window) return;
        this.window = withFresh(this.window, fresh);
      } catch (problem) {
        if (!(problem instanceof Problem)) throw problem;
        if (generation === this.#generation) void this.anew();
        return;
      }
    }
  }

  pageAgain(): void {
    this.pagingProblem = null;
  }

  /** Takes a live entry of this room. */
  receive(entry: Entry): void {
    people.meet([entry.author]);
    this.#known = Math.max(this.#known, entry.seq);
    if (!this.window) return;
    const { window, arrival } = withLive(this.window, entry);
    this.window = window;
    if (arrival === 'added') {
      this.#letGo([entry]);
      if (isMessage(entry)) {
        this.#stopTyping(entry.author.id);
        if (entry.author.id === session.me.id) this.unreadAfter = null;
        else if (!this.watched && (rooms.get(this.id)?.me.unread ?? 0) === 0) this.unreadAfter = entry.seq - 1;
      }
      if (window.entries.length > heldAtMost + 500) void this.#trim();
    } else if (arrival === 'ahead') {
      void this.fill();
    } else {
      this.#letGo([entry]);
    }
  }

  /** The answer to one's own request: it may come before or after the live event. */
  accepted(entry: Entry & { epoch?: number }): void {
    // Of a later epoch, it does not follow what is held; it comes again when the live connection has said what does.
    if (!this.window || (entry.epoch ?? 0) > this.epoch) return;
    if (entry.kind === 'message') this.receive(entry);
    else this.window = withChange(this.window, entry);
  }

  /** Says that everything up to a number has been seen. */
  async markRead(seq: number): Promise<void> {
    const room = rooms.get(this.id);
    if (!room || seq <= room.me.read || seq <= this.#readAsked) return;
    this.#readAsked = seq;
    try {
      rooms.setRead(this.id, await api.markRead(this.id, seq));
    } catch (problem) {
      this.#readAsked = 0;
      if (!(problem instanceof Problem)) throw problem;
    }
  }

  /** The room is known to have come this far. */
  headIs(head: number): void {
    this.#known = Math.max(this.#known, head);
    const window = this.window;
    if (!window || window.moreAfter || this.#known <= window.through) return;
    this.window = { ...window, head: this.#known };
    void this.fill();
  }

  /** Fetches what lies between the window and the head, until nothing is missing. */
  async fill(): Promise<void> {
    if (this.#filling) return;
    this.#filling = true;
    const generation = this.#generation;
    try {
      for (;;) {
        const window = this.window;
        if (!window || window.moreAfter || window.through >= window.head) return;
        const page = await api.entries(this.id, { after: window.through, limit: 500 });
        // What another database has does not follow what is held; the live connection says how it goes on.
        if (generation !== this.#generation || !this.window || page.epoch !== this.epoch) return;
        const next = withNewer(this.window, page);
        if (next.through <= window.through) return;
        this.window = { ...next, moreAfter: false };
        this.#letGo(page.entries);
        if (!page.more_after) return;
      }
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      // The next live entry or the next connection finds the gap again.
    } finally {
      if (generation === this.#generation) this.#filling = false;
    }
  }

  /** Too much was missed to send it: show the newest, or leave the reader where he reads and fetch it when he comes. */
  gap(head: number): void {
    if (!this.window) return;
    if (this.watched || this.window.entries.length === 0) void this.#load({ limit: pageSize }, () => ({ to: 'end' }));
    else this.window = { ...this.window, moreAfter: true, head: Math.max(this.window.head, head) };
  }

  someoneTypes(person: Person): void {
    if (person.id === session.me.id) return;
    clearTimeout(this.#typingTimers.get(person.id));
    this.#typingTimers.set(
      person.id,
      setTimeout(() => this.#stopTyping(person.id), 6000),
    );
    if (!this.typing.some((other) => other.id === person.id)) this.typing = [...this.typing, person];
  }

  arrivals(joined: Person[], left: number[], count: number, limited: boolean): void {
    people.meet(joined);
    const gone = new Set([...left, ...joined.map((person) => person.id)]);
    const stay = (this.roster?.people ?? []).filter((person) => !gone.has(person.id));
    this.roster = { people: [...stay, ...joined], count, limited };
    for (const id of left) this.#stopTyping(id);
  }

  async loadRoster(): Promise<void> {
    const roster = await api.roster(this.id);
    people.meet(roster.people);
    this.roster = roster;
  }

  #mark(seq: number): void {
    this.marked = seq;
  }

  #letGo(entries: readonly Entry[]): void {
    const me = session.me.id;
    const mine = entries.filter((entry): entry is MessageEntry => isMessage(entry) && entry.author.id === me);
    if (mine.length > 0) outbox.shown(this.id, mine, this.epoch);
  }

  #stopTyping(person: number): void {
    clearTimeout(this.#typingTimers.get(person));
    this.#typingTimers.delete(person);
    if (this.typing.some((other) => other.id === person)) {
      this.typing = this.typing.filter((other) => other.id !== person);
    }
  }

  async #trim(): Promise<void> {
    if (!this.window || this.window.entries.length <= heldAtMost) return;
    await tick();
    this.shift = true;
    this.window = withoutOldest(this.window, heldAtMost);
    await tick();
    this.shift = false;
  }

  async #load(query: Record<string, string | number>, wish: (page: Page) => Wish): Promise<void> {
    const generation = ++this.#generation;
    this.paging = null;
    this.pagingProblem = null;
    if (!this.window) this.state = 'loading';
    try {
      const page = await api.entries(this.id, query);
      if (generation !== this.#generation) return;
      people.meet(page.entries.map((entry) => entry.author));
      this.window = fromPage(page);
      this.epoch = page.epoch;
      this.part += 1;
      this.place = 'end';
      this.#letGo(page.entries);
      this.wish = wish(page);
      this.state = 'ready';
      this.problem = null;
      this.headIs(page.head);
    } catch (problem) {
      if (generation !== this.#generation) return;
      this.problem = problem;
      if (!this.window) this.state = 'failed';
    }
  }

  async #page(
    direction: 'older' | 'newer',
    query: Record<string, string | number>,
    join: (page: Page) => Promise<void>,
  ): Promise<void> {
    const generation = this.#generation;
    this.paging = direction;
    try {
      const page = await api.entries(this.id, query);
      if (generation !== this.#generation || !this.window || page.epoch !== this.epoch) return;
      people.meet(page.entries.map((entry) => entry.author));
      await join(page);
      this.#letGo(page.entries);
    } catch (problem) {
      if (generation === this.#generation) this.pagingProblem = problem;
    } finally {
      if (generation === this.#generation) this.paging = null;
    }
  }
}

const views = new Map<number, RoomView>();
const keptViews = 40;

/** The view of a room, kept when another is opened, so that going back shows it at once. */
export function viewOf(id: number): RoomView {
  let view = views.get(id);
  if (view) views.delete(id);
  else view = new RoomView(id);
  views.set(id, view);
  if (views.size > keptViews) views.delete(views.keys().next().value!);
  return view;
}

export function heldView(id: number): RoomView | undefined {
  return views.get(id);
}

export function forgetView(id: number): void {
  views.delete(id);
}

/** Forgets what is held of all rooms, or of all but one. */
export function forgetViews(except?: RoomView): void {
  views.clear();
  if (except) views.set(except.id, except);
}
