// The frames of the live connection.

import type { Entry, Invitation, Outage, Person, Roster } from '../api/types';
import type { ProblemBody } from '../api/problem';

export type ClientFrame =
  | { type: 'join'; rooms: { room: number; after: number | null; epoch?: number }[] }
  | { type: 'leave'; room: number }
  | { type: 'typing'; room: number }
  | { type: 'read'; room: number; seq: number };

export type ByeReason = 'shutting-down' | 'too-slow' | 'session-ended' | 'moved';

export type ServerFrame =
  | { type: 'welcome'; me: Person; time: string; epoch: number; site?: string | null; outage?: Outage | null }
  | { type: 'joined'; room: number; epoch: number; head: number; roster: Roster }
  | { type: 'refused'; room: number; problem: ProblemBody }
  | { type: 'entry'; entry: Entry }
  | { type: 'cut'; room: number; epoch: number; after: number; valid_through: number | null; lost: number | null }
  | { type: 'gap'; room: number; epoch: number; after: number; head: number }
  | { type: 'presence'; room: number; joined: Person[]; left: number[]; count: number; limited: boolean }
  | { type: 'typing'; room: number; person: Person }
  | { type: 'read'; room: number; seq: number; unread: number; mentions: number }
  | { type: 'room'; room: number }
  | { type: 'kicked'; room: number; reason: string }
  | { type: 'rooms' }
  | { type: 'invitation'; invitation: Invitation }
  | { type: 'feed'; feed: number; room: number; seq: number }
  | { type: 'outage'; outage: Outage | null }
  | { type: 'announcement'; text: string }
  | { type: 'problem'; problem: ProblemBody }
  | { type: 'bye'; reason: ByeReason; servers?: string[] };

/** Null for what cannot be read: a newer server may say things that this client does not know. */
export function frameFrom(text: unknown): ServerFrame | null {
  if (typeof text !== 'string') return null;
  try {
    const frame = JSON.parse(text) as { type?: unknown };
    return typeof frame === 'object' && frame !== null && typeof frame.type === 'string'
      ? (frame as ServerFrame)
      : null;
  } catch {
    return null;
  }
}
