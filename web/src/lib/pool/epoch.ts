// The latest state of the pool that this browser has seen. A server that was left behind at an earlier one is not gone back to: what it
// would take could be lost, and what it shows may not be so any more.

/** Under which epoch, and in which site. */
export interface Seen {
  readonly epoch: number;
  readonly site: string | null;
}

export const nothingSeen: Seen = { epoch: 0, site: null };

export interface Met {
  readonly seen: Seen;
  /** The server has an earlier state than was seen. */
  readonly behind: boolean;
  /** The pool goes on in another site than before. */
  readonly moved: boolean;
}

/** What a server of this epoch and site means. A server alone has epoch 0, and what was seen of a pool is history then. */
export function met(seen: Seen, epoch: number, site: string | null): Met {
  if (epoch === 0) return { seen: nothingSeen, behind: false, moved: false };
  if (epoch < seen.epoch) return { seen, behind: true, moved: false };
  const moved = epoch > seen.epoch && seen.site !== null && site !== null && site !== seen.site;
  return { seen: { epoch, site: site ?? seen.site }, behind: false, moved };
}

/** What storage holds may be anything. */
export function seenFrom(stored: unknown): Seen {
  const { epoch, site } = (typeof stored === 'object' && stored !== null ? stored : {}) as Partial<Seen>;
  const known = typeof epoch === 'number' && Number.isSafeInteger(epoch) && epoch > 0;
  return known ? { epoch, site: typeof site === 'string' ? site : null } : nothingSeen;
}
