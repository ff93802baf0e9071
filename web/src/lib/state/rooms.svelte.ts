// The rooms that the client knows: mine, and any other that is open now.

import { SvelteMap } from 'svelte/reactivity';
import { api, Problem, type Room } from '../api';

export interface Section {
  /** Null for the section of followed rooms. */
  category: { id: number; name: string } | null;
  rooms: Room[];
}

class Rooms {
  #all = new SvelteMap<number, Room>();
  #mine = $state.raw<ReadonlySet<number>>(new Set());
  loaded = $state(false);
  problem = $state<unknown>(null);

  sections = $derived.by(() => sectionsOf([...this.#all.values()].filter((room) => this.#mine.has(room.id))));
  /** In the order of the list, for Alt+arrows. */
  ordered = $derived(this.sections.flatMap((section) => section.rooms));
  unread = $derived(this.ordered.reduce((sum, room) => sum + (room.me.followed ? room.me.unread : 0), 0));
  mentions = $derived(this.ordered.reduce((sum, room) => sum + room.me.mentions, 0));

  get(id: number): Room | undefined {
    return this.#all.get(id);
  }

  named(name: string): Room | undefined {
    const wanted = name.toLowerCase();
    for (const room of this.#all.values()) if (room.name.toLowerCase() === wanted) return room;
    return undefined;
  }

  /** Rooms whose events the client wants: those followed. */
  followed(): number[] {
    return this.ordered.filter((room) => room.me.followed && !room.disabled).map((room) => room.id);
  }

  put(room: Room): void {
    this.#all.set(room.id, room);
  }

  async load(): Promise<void> {
    try {
      const { items } = await api.myRooms();
      for (const room of items) this.#all.set(room.id, room);
      this.#mine = new Set(items.map((room) => room.id));
      this.problem = null;
    } catch (problem) {
      this.problem = problem;
    } finally {
      this.loaded = true;
    }
  }

  /** Fetches one room again. Undefined when it is not there for this person any more. */
  async refresh(id: number): Promise<Room | undefined> {
    try {
      const room = await api.room(id);
      this.#all.set(id, room);
      return room;
    } catch (problem) {
      if (problem instanceof Problem && (problem.status === 404 || problem.status === 403 || problem.status === 410)) {
        this.#all.delete(id);
        return undefined;
      }
      throw problem;
    }
  }

  setRead(id: number, read: { seq: number; unread: number; mentions: number }): void {
    this.#change(id, (room) => ({
      ...room,
      me: { ...room.me, read: read.seq, unread: read.unread, mentions: read.mentions },
    }));
  }

  /** Somebody else said something in a room that is not being watched. */
  countUnread(id: number, seq: number, at: string, mentioned: boolean): void {
    this.#change(id, (room) =>
      seq <= room.head
        ? room
        : {
            ...room,
            head: seq,
            messages: room.messages + 1,
            last_message_at: at,
            me: { ...room.me, unread: room.me.unread + 1, mentions: room.me.mentions + (mentioned ? 1 : 0) },
          },
    );
  }

  moved(id: number, seq: number): void {
    this.#change(id, (room) => (seq <= room.head ? room : { ...room, head: seq }));
  }

  present(id: number, count: number): void {
    this.#change(id, (room) => (room.present === count ? room : { ...room, present: count }));
  }

  subject(id: number, subject: string): void {
    this.#change(id, (room) => ({ ...room, subject }));
  }

  async follow(id: number, follow: boolean): Promise<void> {
    if (follow) await api.follow(id);
    else await api.unfollow(id);
    this.#change(id, (room) => ({ ...room, me: { ...room.me, followed: follow } }));
    await this.load();
  }

  forget(): void {
    this.#all.clear();
    this.#mine = new Set();
    this.loaded = false;
    this.problem = null;
  }

  #change(id: number, change: (room: Room) => Room): void {
    const room = this.#all.get(id);
    if (!room) return;
    const next = change(room);
    if (next !== room) this.#all.set(id, next);
  }
}

/** Followed rooms first, then the rest by category, each by name. */
export function sectionsOf(list: readonly Room[]): Section[] {
  const byName = (a: Room, b: Room) => a.name.localeCompare(b.name);
  const followed = list.filter((room) => room.me.followed).sort(byName);
  const rest = list.filter((room) => !room.me.followed);
  const categories = new Map<number, Section>();
  for (const room of rest) {
    const section = categories.get(room.category.id) ?? { category: room.category, rooms: [] };
    section.rooms.push(room);
    categories.set(room.category.id, section);
  }
  const sections = [...categories.values()].sort((a, b) => a.category!.name.localeCompare(b.category!.name));
  for (const section of sections) section.rooms.sort(byName);
  return followed.length > 0 ? [{ category: null, rooms: followed }, ...sections] : sections;
}

export const rooms = new Rooms();
