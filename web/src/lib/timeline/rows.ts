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
  | { readonly type: 'pending'; readonly key: string; readonly pending: Pending; readonly continued: boolean };

export interface RowOptions {
  /** The number after which the "new" divider stands, or null for none. */
  readonly unreadAfter: number | null;
  /** Who looks: the divider never stands before one's own message alone. */
  readonly me: number;
  /** Gives the local calendar day of an instant; a parameter because it depends on the reader's zone. */
  readonly dayOf: (at: string) => string;
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

  for (const entry of window.entries) {
    if (!isShown(entry)) continue;
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
