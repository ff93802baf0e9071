// One's own messages that were accepted not long ago. Should the pool go on in another site that had not got them yet, they are here to be
// sent again. Pure: the outbox owns the clock and the storage.

import type { FileInfo } from '../api/types';

export interface Kept {
  readonly clientId: string;
  readonly room: number;
  /** Where it stands in the room, and under which epoch of the pool that was so. */
  readonly seq: number;
  readonly epoch: number;
  /** When it was written, and when it was accepted, in milliseconds. */
  readonly at: string;
  readonly since: number;
  readonly text: string;
  readonly title: string | null;
  readonly alert: boolean;
  readonly files: readonly FileInfo[];
}

/** Sites are seconds apart; what was accepted longer ago is in both. */
export const keptFor = 15 * 60 * 1000;
/** More are not kept; the oldest go first. */
export const keptAtMost = 200;

/** Takes one in, and lets go of those that are old or too many. */
export function withKept(list: readonly Kept[], item: Kept, now: number): readonly Kept[] {
  const others = list.filter((other) => other.clientId !== item.clientId);
  return recent([...others, item], now);
}

export function recent(list: readonly Kept[], now: number): readonly Kept[] {
  return list.filter((item) => now - item.since < keptFor).slice(-keptAtMost);
}

export interface Parted {
  readonly kept: readonly Kept[];
  readonly lost: readonly Kept[];
}

/** A room goes on under `epoch`, and of what it had before, everything up to `through` is still so. */
export function afterCut(list: readonly Kept[], room: number, epoch: number, through: number): Parted {
  const before = (item: Kept) => item.room === room && item.epoch < epoch;
  const lost = list.filter((item) => before(item) && item.seq > through);
  const kept = list.filter((item) => !lost.includes(item));
  return { kept: kept.map((item) => (before(item) ? { ...item, epoch } : item)), lost };
}

/** A room goes on under `epoch` with all that it had. */
export function afterJoin(list: readonly Kept[], room: number, epoch: number): readonly Kept[] {
  return afterCut(list, room, epoch, Number.POSITIVE_INFINITY).kept;
}

/** What became of one of them was looked up. */
export function afterLook(list: readonly Kept[], clientId: string, epoch: number, there: boolean): Parted {
  const item = list.find((one) => one.clientId === clientId);
  if (!item || item.epoch >= epoch) return { kept: list, lost: [] };
  if (!there) return { kept: list.filter((one) => one !== item), lost: [item] };
  return { kept: list.map((one) => (one === item ? { ...one, epoch } : one)), lost: [] };
}

/** Those of which it is not known whether they are there under `epoch`. */
export function uncertain(list: readonly Kept[], epoch: number): readonly Kept[] {
  return list.filter((item) => item.epoch < epoch);
}
