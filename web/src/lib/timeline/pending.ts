// Messages on their way: what the composer has given away and the room log has not yet shown.
// Pure: the sender (lib/state/outbox) owns the network and the clock.

import type { FileInfo } from '../api/types';

export type PendingState =
  /** The request is under way. */
  | 'sending'
  /** It did not get through and will be sent again by itself, with the same client id. */
  | 'waiting'
  /** The server took it; its entry has not come round yet. */
  | 'accepted'
  /** It was refused, and a person must decide. */
  | 'failed'
  /** It was refused, but an earlier attempt may have got through: nobody knows, and a person must decide. */
  | 'doubtful'
  /** It was accepted, and not preserved when the pool went on in another site. A person decides whether it is still to be said. */
  | 'lost';

export interface Pending {
  readonly clientId: string;
  readonly room: number;
  readonly at: string;
  readonly text: string;
  readonly title: string | null;
  readonly alert: boolean;
  readonly files: readonly FileInfo[];
  readonly state: PendingState;
  /** Why it was refused or has to wait, in a sentence. */
  readonly reason: string | null;
  /** An attempt had no answer: it may be in the room. Nothing but the room itself ends that doubt. */
  readonly doubt: boolean;
  /** When the server first said that it cannot take messages now; null when it last said something else. */
  readonly putOffAt: number | null;
}

/** A message that the server certainly has not taken is put off for so long; then a person must decide. */
export const patience = 60_000;

export type PendingEvent =
  | { type: 'sent'; clientId: string }
  | { type: 'accepted'; clientId: string }
  /** Whether it arrived is not known. */
  | { type: 'unanswered'; clientId: string }
  /** The server has not taken it, but may later. */
  | { type: 'put-off'; clientId: string; reason: string | null; now: number }
  /** The server has not taken it, and it is not its fault: as if it had not been sent. */
  | { type: 'held'; clientId: string }
  | { type: 'refused'; clientId: string; reason: string }
  /** They had been accepted and are not there any more. */
  | { type: 'lost'; items: readonly Pending[] }
  | { type: 'again'; clientId: string }
  | { type: 'discarded'; clientId: string }
  | { type: 'shown'; clientIds: ReadonlySet<string> };

export function afterEvent(list: readonly Pending[], event: PendingEvent): readonly Pending[] {
  switch (event.type) {
    case 'shown':
      return list.some((item) => event.clientIds.has(item.clientId))
        ? list.filter((item) => !event.clientIds.has(item.clientId))
        : list;
    case 'lost': {
      const known = new Set(list.map((item) => item.clientId));
      const lost = new Set(event.items.map((item) => item.clientId));
      // One that was accepted a moment ago is still here. What was said first stands first.
      const marked = list.map((item) =>
        lost.has(item.clientId) && item.state === 'accepted' ? { ...item, state: 'lost' as const, reason: null } : item,
      );
      const more = event.items.filter((item) => !known.has(item.clientId));
      if (more.length === 0) return marked;
      const earlier = [...marked.filter((item) => item.state === 'lost'), ...more];
      earlier.sort((a, b) => Date.parse(a.at) - Date.parse(b.at));
      return [...earlier, ...marked.filter((item) => item.state !== 'lost')];
    }
    case 'discarded':
      // Only what is not on its way can be discarded.
      return list.filter((item) => item.clientId !== event.clientId || !isStuck(item));
    case 'sent':
      return changed(list, event.clientId, () => ({ state: 'sending' }));
    case 'accepted':
      return changed(list, event.clientId, () => ({ state: 'accepted', reason: null }));
    case 'unanswered':
      return changed(list, event.clientId, () => ({ state: 'waiting', reason: null, doubt: true, putOffAt: null }));
    case 'held':
      return changed(list, event.clientId, () => ({ state: 'waiting', reason: null }));
    case 'put-off':
      return changed(list, event.clientId, (item) => {
        const putOffAt = item.putOffAt ?? event.now;
        // What may be in the room already is never given up.
        const over = !item.doubt && event.now - putOffAt >= patience;
        return { state: over ? 'failed' : 'waiting', reason: event.reason, putOffAt };
      });
    case 'again':
      return changed(list, event.clientId, () => ({ state: 'waiting', reason: null, putOffAt: null }));
    case 'refused':
      return changed(list, event.clientId, (item) => ({
        state: item.doubt ? 'doubtful' : 'failed',
        reason: event.reason,
        putOffAt: null,
      }));
  }
}

/** Nothing happens to it until a person decides. */
export function isStuck(item: Pending): boolean {
  return item.state === 'failed' || item.state === 'doubtful' || item.state === 'lost';
}

/** The next message to send: one at a time, in the order in which they were written, stepping over refused ones. */
export function nextToSend(list: readonly Pending[]): Pending | undefined {
  if (list.some((item) => item.state === 'sending')) return undefined;
  return list.find((item) => item.state === 'waiting');
}

/** What a page reload finds: nobody knows what became of a message in flight, so it is sent again with its id. */
export function restored(stored: readonly Pending[]): readonly Pending[] {
  return stored
    .filter((item) => item.state !== 'accepted')
    .map((item) => ({ ...item, doubt: item.doubt ?? false, putOffAt: null }))
    .map((item) => (item.state === 'sending' ? { ...item, state: 'waiting' as const, doubt: true } : item));
}

function changed(
  list: readonly Pending[],
  clientId: string,
  change: (item: Pending) => Partial<Pending>,
): readonly Pending[] {
  return list.map((item) => (item.clientId === clientId ? { ...item, ...change(item) } : item));
}
