// Where requests go just now. Addresses made from it in a template follow when it changes.

import type { Base } from '../pool/addresses';

class Current {
  base = $state<Base>('');
  #abandoned = new AbortController();

  /** Ends when what is under way will not be answered any more. */
  get abandoned(): AbortSignal {
    return this.#abandoned.signal;
  }

  change(base: Base, abandon: boolean): void {
    this.base = base;
    if (!abandon) return;
    this.#abandoned.abort();
    this.#abandoned = new AbortController();
  }
}

export const current = new Current();
