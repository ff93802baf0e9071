// The stretch of a room log that the client holds: always one unbroken run, from its first entry up to `through`.
// All functions here are pure and return a new window, so a page may keep the old one while it renders.

import type { Edit, Entry, MessageEntry, Page } from '../api/types';

export interface Window {
  /** Ascending by seq, without repeats. */
  readonly entries: readonly Entry[];
  /** The room has entries older than the first one held. */
  readonly moreBefore: boolean;
  /** The room has entries newer than `through`: the window is not attached to the living end. */
  readonly moreAfter: boolean;
  /** Everything up to this number has been seen; a live entry must carry the next one. */
  readonly through: number;
  /** The newest number known to exist in the room. */
  readonly head: number;
}

/** About this much is held: beyond it the far end is let go, and paged in again when somebody scrolls there. */
export const heldAtMost = 6000;

export function fromPage(page: Page): Window {
  const last = page.entries.at(-1)?.seq ?? 0;
  return {
    entries: withChanges(page.entries, page.entries),
    moreBefore: page.more_before,
    moreAfter: page.more_after,
    through: page.more_after ? last : Math.max(last, page.head),
    head: Math.max(last, page.head),
  };
}

/** Joins a page that ends just before the window. Entries that are already held are not doubled. */
export function withOlder(window: Window, page: Page): Window {
  const first = window.entries[0]?.seq ?? Number.POSITIVE_INFINITY;
  const older = page.entries.filter((entry) => entry.seq < first);
  return {
    ...window,
    // What was held already knows of later edits; what comes in does too, since the server answered just now.
    entries: [...older, ...window.entries],
    moreBefore: page.more_before,
    head: Math.max(window.head, page.head),
  };
}

/** Joins a page that begins just after the window, or overlaps its end. */
export function withNewer(window: Window, page: Page): Window {
  const fresh = page.entries.filter((entry) => entry.seq > window.through);
  const last = page.entries.at(-1)?.seq ?? 0;
  return {
    entries: withChanges([...window.entries, ...fresh], fresh),
    moreBefore: window.moreBefore,
    moreAfter: page.more_after,
    through: Math.max(window.through, page.more_after ? last : Math.max(last, page.head)),
    head: Math.max(window.head, page.head),
  };
}

/**
 * Lets go of the newest entries, so that at most `count` stay. Cutting and adding are separate steps, because a virtual
 * list that is told of both at once sees only the difference in length and loses its place.
 */
export function withoutNewest(window: Window, count: number): Window {
  if (window.entries.length <= count) return window;
  const entries = window.entries.slice(0, count);
  return { ...window, entries, moreAfter: true, through: entries.at(-1)?.seq ?? 0 };
}

/** Lets go of the oldest entries, so that at most `count` stay. */
export function withoutOldest(window: Window, count: number): Window {
  if (window.entries.length <= count) return window;
  return { ...window, entries: window.entries.slice(-count), moreBefore: true };
}

export interface Cut {
  readonly window: Window;
  /** Messages that were held and are not there any more. */
  readonly messages: number;
  /** Held messages that something beyond the cut had changed: they are to be fetched again. */
  readonly stale: readonly number[];
}

/** Lets go of everything after a number, because the log goes on differently there. */
export function cutAfter(window: Window, through: number): Cut {
  const beyond = window.entries.filter((entry) => entry.seq > through);
  const entries = window.entries.filter((entry) => entry.seq <= through);
  const stale = entries
    .filter(isMessage)
    .filter((entry) => Math.max(entry.edited?.seq ?? 0, entry.removed?.seq ?? 0) > through)
    .map((entry) => entry.seq);
  return {
    window: {
      ...window,
      entries,
      moreAfter: window.moreAfter && window.through < through,
      through: Math.min(window.through, through),
      head: through,
    },
    messages: beyond.filter(isMessage).length,
    stale,
  };
}

/** Puts a message as it reads now in the place of what was held of it. */
export function withFresh(window: Window, fresh: Entry): Window {
  const index = indexOf(window.entries, fresh.seq);
  if (index < 0) return window;
  const entries = [...window.entries];
  entries[index] = fresh;
  return { ...window, entries };
}

export type Arrival = 'added' | 'known' | 'ahead' | 'apart';

/**
 * Takes an entry that arrived live.
 * `added`: it was the next one. `known`: it is held already. `ahead`: entries between are missing and must be fetched.
 * `apart`: the window shows another part of the room, so the entry only moves the head.
 */
export function withLive(window: Window, entry: Entry): { window: Window; arrival: Arrival } {
  const head = Math.max(window.head, entry.seq);
  if (entry.seq <= window.through) return { window: withChange(window, entry), arrival: 'known' };
  if (window.moreAfter) return { window: { ...withChange(window, entry), head }, arrival: 'apart' };
  if (entry.seq > window.through + 1) return { window: { ...withChange(window, entry), head }, arrival: 'ahead' };
  const entries = withChanges([...window.entries, entry], [entry]);
  return { window: { ...window, entries, through: entry.seq, head }, arrival: 'added' };
}

/** Applies an edit, a retraction, a removal or a purge to the messages held, without adding the entry itself. */
export function withChange(window: Window, change: Entry): Window {
  const entries = withChanges(window.entries, [change]);
  return entries === window.entries ? window : { ...window, entries };
}

export function find(window: Window, seq: number): Entry | undefined {
  const index = indexOf(window.entries, seq);
  return index < 0 ? undefined : window.entries[index];
}

export function isMessage(entry: Entry | undefined): entry is MessageEntry {
  return entry?.kind === 'message';
}

/** The newest message of one author that can still be edited, for "arrow up in an empty composer". */
export function lastMessageOf(window: Window, author: number): MessageEntry | undefined {
  return window.entries.findLast(
    (entry): entry is MessageEntry => isMessage(entry) && entry.author.id === author && entry.message !== null,
  );
}

function indexOf(entries: readonly Entry[], seq: number): number {
  let low = 0;
  let high = entries.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const at = entries[middle]!.seq;
    if (at === seq) return middle;
    if (at < seq) low = middle + 1;
    else high = middle - 1;
  }
  return -1;
}

function withChanges(entries: readonly Entry[], changes: readonly Entry[]): readonly Entry[] {
  let result: Entry[] | undefined;
  const replace = (index: number, entry: Entry) => {
    result ??= [...entries];
    result[index] = entry;
  };
  const current = () => result ?? entries;

  for (const change of changes) {
    switch (change.kind) {
      case 'edit': {
        if (!change.edit) break;
        const index = indexOf(current(), change.edit.of);
        const target = current()[index];
        if (isMessage(target)) {
          const edited = editedBy(target, change, change.edit);
          if (edited !== target) replace(index, edited);
        }
        break;
      }
      case 'retraction':
      case 'removal': {
        for (const seq of typeof change.of === 'number' ? [change.of] : change.of) {
          const index = indexOf(current(), seq);
          const target = current()[index];
          if (isMessage(target) && !target.removed) replace(index, removedBy(target, change));
        }
        break;
      }
      case 'purge': {
        current().forEach((target, index) => {
          if (isMessage(target) && target.seq <= change.through && target.removed?.how !== 'purged') {
            replace(index, removedBy(target, change));
          }
        });
        break;
      }
      default:
    }
  }
  return result ?? entries;
}

function editedBy(target: MessageEntry, change: Entry, edit: Edit): MessageEntry {
  // Edits can be heard twice (as the answer and as a live event) and must not undo a later one.
  if (!target.message || (target.edited?.seq ?? 0) >= change.seq) return target;
  return {
    ...target,
    message: {
      ...target.message,
      text: edit.text,
      title: edit.title ?? target.message.title,
      action: edit.action ?? target.message.action,
      files: edit.files ?? target.message.files,
      mentions: edit.mentions,
    },
    edited: { at: change.at, seq: change.seq },
  };
}

function removedBy(
  target: MessageEntry,
  change: Extract<Entry, { kind: 'retraction' | 'removal' | 'purge' }>,
): MessageEntry {
  const how = change.kind === 'retraction' ? 'retracted' : change.kind === 'removal' ? 'removed' : 'purged';
  return {
    ...target,
    message: null,
    removed: {
      how,
      at: change.at,
      by: change.author,
      reason: change.kind === 'removal' ? change.reason : null,
      replacement: change.kind === 'removal' ? change.replacement : null,
      seq: change.seq,
    },
  };
}
