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
  | 'failed';

export interface Pending {
  readonly clientId: string;
  readonly room: number;
  readonly at: string;
  readonly text: string;
  readonly title: string | null;
  readonly alert: boolean;
  readonly files: readonly FileInfo[];
  readonly state: PendingState;
  /** Why it was refused, in a sentence. */
  readonly reason: string | null;
}

export type PendingEvent =
  | { type: 'sent'; clientId: string }
  | { type: 'accepted'; clientId: string }
  | { type: 'unreachable'; clientId: string }
  | { type: 'refused'; clientId: string; reason: string }
  | { type: 'again'; clientId: string }
  | { type: 'discarded'; clientId: string }
  | { type: 'shown'; clientIds: ReadonlySet<string> };

export function afterEvent(list: readonly Pending[], event: PendingEvent): readonly Pending[] {
  switch (event.type) {
    case 'shown':
      return list.some((item) => event.clientIds.has(item.clientId))
        ? list.filter((item) => !event.clientIds.has(item.clientId))
        : list;
    case 'discarded':
      // Only what the server has certainly not taken can be discarded.
      return list.filter((item) => item.clientId !== event.clientId || item.state !== 'failed');
    case 'sent':
      return changed(list, event.clientId, 'sending', null);
    case 'accepted':
      return changed(list, event.clientId, 'accepted', null);
    case 'unreachable':
      return changed(list, event.clientId, 'waiting', null);
    case 'again':
      return changed(list, event.clientId, 'waiting', null);
    case 'refused':
      return changed(list, event.clientId, 'failed', event.reason);
  }
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
    .map((item) => (item.state === 'sending' ? { ...item, state: 'waiting' as const } : item));
}

function changed(
  list: readonly Pending[],
  clientId: string,
  state: PendingState,
  reason: string | null,
): readonly Pending[] {
  return list.map((item) => (item.clientId === clientId ? { ...item, state, reason } : item));
}
