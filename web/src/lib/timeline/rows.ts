// What the timeline draws: the entries of a window turned into rows, with day separators, grouping and dividers.

import type { Entry, MessageEntry } from '../api/types';
import { isMessage, type Window } from './window';
import type { Pending } from './pending';

export type Row =
  | { readonly type: 'beginning'; readonly key: string }
  | { readonly type: 'day'; readonly key: string; readonly at: string }
  | { readonly type: 'unread'; readonly key: string }
  | { readonly type: 'message'; readonly key: string; readonly entry: MessageEntry; readonly continued: boolean }
  | { readonly type: 'notice'; readonly key: string; readonly entry: Entry }
  | { readonly type: 'purged'; readonly key: string; readonly entry: MessageEntry; readonly count: number }
  | { readonly type: 'cut'; readonly key: string; readonly cut: CutNote }
  /** Stands before one's own messages that were not preserved. */
  | { readonly type: 'lost'; readonly key: string; readonly count: number }
  | { readonly type: 'pending'; readonly key: string; readonly pending: Pending; readonly continued: boolean };

/** Where a room's log goes on differently than this page had it. */
export interface CutNote {
  /** The last entry that is still so. */
  readonly after: number;
  readonly epoch: number;
  /** Messages that were not preserved; 0 when it was only changes, null when their number is not known. */
  readonly messages: number | null;
  /** When the last message before was said. */
  readonly since: string | null;
  /** Whether the pool is in another site since. */
  readonly site: boolean;
}

export interface RowOptions {
  /** The number after which the "new" divider stands, or null for none. */
  readonly unreadAfter: number | null;
  /** Who looks: the divider never stands before one's own message alone. */
  readonly me: number;
  /** Gives the local calendar day of an instant; a parameter because it depends on the reader's zone. */
  readonly dayOf: (at: string) => string;
  /** In the order in which they came. */
  readonly cuts?: readonly CutNote[];
}

/** Two messages of one author further apart than this get the author's name again. */
const groupedWithin = 10 * 60 * 1000;

export function rowsOf(window: Window, pending: readonly Pending[], options: RowOptions): readonly Row[] {
  const rows: Row[] = [];
  let day = '';
  let previous: MessageEntry | undefined;
  let divided = options.unreadAfter === null;
  const shown = new Set<string>();

  if (!window.moreBefore) rows.push({ type: 'beginning', key: 'beginning' });

  const startDay = (at: string) => {
    const next = options.dayOf(at);
    if (next === day) return;
    day = next;
    previous = undefined;
    rows.push({ type: 'day', key: `day-${next}-${at}`, at });
  };

  const cuts = [...(options.cuts ?? [])].sort((a, b) => a.after - b.after || a.epoch - b.epoch);
  const noteCuts = (seq: number) => {
    while (cuts.length > 0 && cuts[0]!.after < seq) {
      const cut = cuts.shift()!;
      // Of another part of the room.
      if (cut.after < (window.entries[0]?.seq ?? 0) - 1) continue;
      previous = undefined;
      rows.push({ type: 'cut', key: `cut-${cut.epoch}-${cut.after}`, cut });
    }
  };

  for (const entry of window.entries) {
    if (!isShown(entry)) continue;
    noteCuts(entry.seq);
    startDay(entry.at);
    if (!divided && entry.seq > options.unreadAfter! && isMessage(entry) && entry.author.id !== options.me) {
      divided = true;
      previous = undefined;
      rows.push({ type: 'unread', key: 'unread' });
    }
    if (!isMessage(entry)) {
      previous = undefined;
      rows.push({ type: 'notice', key: `entry-${entry.seq}`, entry });
      continue;
    }
    // One's own message keeps its row from being sent to being accepted, so its key is its client id. Other people's
    // client ids are theirs to choose and must not become keys.
    const mine = entry.author.id === options.me && entry.client_id !== null && !shown.has(entry.client_id);
    if (mine) shown.add(entry.client_id!);
    if (entry.removed?.how === 'purged') {
      const last = rows.at(-1);
      if (last?.type === 'purged') rows[rows.length - 1] = { ...last, count: last.count + 1 };
      else rows.push({ type: 'purged', key: `entry-${entry.seq}`, entry, count: 1 });
      previous = undefined;
      continue;
    }
    rows.push({
      type: 'message',
      key: mine ? `mine-${entry.client_id}` : `entry-${entry.seq}`,
      entry,
      continued: continues(previous, entry),
    });
    previous = entry;
  }

  if (!window.moreAfter) {
    noteCuts(Number.POSITIVE_INFINITY);
    const lost = pending.filter((item) => item.state === 'lost' && !shown.has(item.clientId)).length;
    if (lost > 0) rows.push({ type: 'lost', key: 'lost', count: lost });
    if (lost > 0) previous = undefined;
    let author = previous?.author.id === options.me && plain(previous) ? Date.parse(previous.at) : undefined;
    for (const item of pending) {
      if (shown.has(item.clientId)) continue;
      if (options.dayOf(item.at) !== day) {
        startDay(item.at);
        author = undefined;
      }
      const simple = !item.alert && item.title === null;
      const continued = simple && author !== undefined && Date.parse(item.at) - author < groupedWithin;
      rows.push({ type: 'pending', key: `mine-${item.clientId}`, pending: item, continued });
      author = simple ? Date.parse(item.at) : undefined;
    }
  }
  return rows;
}

/** Edits, retractions and removals are seen on the message they change and need no row of their own. */
function isShown(entry: Entry): boolean {
  return (
    entry.kind === 'message' ||
    entry.kind === 'subject' ||
    entry.kind === 'room-created' ||
    entry.kind === 'room-changed' ||
    entry.kind === 'roles-changed'
  );
}

function plain(entry: MessageEntry): boolean {
  return !entry.message?.alert && !entry.message?.action && !entry.message?.title && !entry.removed;
}

function continues(previous: MessageEntry | undefined, entry: MessageEntry): boolean {
  return (
    previous !== undefined &&
    previous.author.id === entry.author.id &&
    plain(previous) &&
    plain(entry) &&
    Date.parse(entry.at) - Date.parse(previous.at) < groupedWithin
  );
}
