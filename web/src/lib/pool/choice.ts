// Asks servers one after the other whether they take clients, without waiting long for any, and takes the first that does.

import type { Base } from './addresses';

/**
 * What a server says of itself: it takes clients; it answers, but takes none; it does not answer; it takes clients, but has an earlier
 * state of the pool than this page has seen.
 */
export type Found = 'ready' | 'unready' | 'silent' | 'behind';

export interface Asking {
  /** Ends by itself, within the deadline, and never fails. */
  ask(base: Base): Promise<Found>;
  later(milliseconds: number, run: () => void): () => void;
}

export interface Choice {
  /** The first that is ready; null when none is. */
  base: Base | null;
  /** Whether any answered at all: if none did, the fault is more likely here than there. */
  answered: boolean;
  /** Whether one was found that is behind. */
  behind: boolean;
}

/** How long one is waited for before the next is asked too; the first one answer may be from has the longest. */
const headStart = 1500;
const step = 700;

export function firstReady(candidates: readonly Base[], asking: Asking): Promise<Choice> {
  return new Promise((resolve) => {
    let next = 0;
    let open = 0;
    let answered = false;
    let behind = false;
    let done = false;
    let cancel = () => {};
    const end = (base: Base | null) => {
      done = true;
      cancel();
      resolve({ base, answered, behind });
    };
    const ask = () => {
      cancel();
      if (done) return;
      if (next === candidates.length) {
        if (open === 0) end(null);
        return;
      }
      const base = candidates[next]!;
      const patience = next === 0 ? headStart : step;
      next += 1;
      open += 1;
      void asking.ask(base).then((found) => {
        open -= 1;
        if (done) return;
        if (found !== 'silent') answered = true;
        if (found === 'behind') behind = true;
        if (found === 'ready') end(base);
        else ask();
      });
      cancel = asking.later(patience, ask);
    };
    ask();
  });
}
