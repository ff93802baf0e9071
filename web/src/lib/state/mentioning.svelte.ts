// Offers the people whose name begins as the @word in which the cursor stands: those in the room at once, others as the server
// finds them.

import { api, type Principal } from '../api';
import { best } from '../ui/jump';
import { people } from './people.svelte';

/** Letters may still come: the server is not asked at each. */
const pause = 150;
const most = 8;

export class Mentioning {
  offers = $state.raw<readonly Principal[]>([]);
  /** Which of them Enter takes. */
  chosen = $state(0);
  #word = $state.raw<{ from: number; to: number; text: string } | null>(null);
  #here: () => readonly Principal[];
  #stop: () => void = () => {};

  /** `here`: who is in the room. */
  constructor(here: () => readonly Principal[]) {
    this.#here = here;
  }

  /** The cursor stands in an @word, whether or not there is anybody to offer. */
  get active(): boolean {
    return this.#word !== null;
  }

  get open(): boolean {
    return this.#word !== null && this.offers.length > 0;
  }

  /** The cursor is there now. */
  look(text: string, cursor: number): void {
    const found = /(?:^|[\s(])@([\p{L}\p{N}._-]*)$/u.exec(text.slice(0, cursor));
    if (!found) {
      this.close();
      return;
    }
    const before = this.#word?.text;
    this.#word = { from: cursor - found[1]!.length - 1, to: cursor, text: found[1]! };
    if (this.#word.text !== before) this.#find(this.#word.text);
  }

  close(): void {
    this.#stop();
    this.#word = null;
    this.offers = [];
  }

  step(by: 1 | -1): void {
    this.chosen = (this.chosen + by + this.offers.length) % this.offers.length;
  }

  /** The text with the name in the place of the @word, and where the cursor then stands. */
  take(text: string, principal: Principal): { text: string; cursor: number } {
    people.meet([principal]);
    const { from, to } = this.#word ?? { from: text.length, to: text.length };
    this.close();
    const name = `@${principal.name} `;
    return { text: text.slice(0, from) + name + text.slice(to), cursor: from + name.length };
  }

  #find(wanted: string): void {
    this.#stop();
    this.offers = best(wanted, this.#here(), (one) => `${one.name} ${one.display_name}`, 6);
    this.chosen = 0;
    const abort = new AbortController();
    const timer = setTimeout(async () => {
      try {
        const { items } = await api.principals({ q: wanted, limit: most }, abort.signal);
        people.meet(items);
        const known = new Set(this.offers.map((one) => one.id));
        const more = items.filter((one) => !known.has(one.id) && one.kind !== 'imported');
        this.offers = [...this.offers, ...more].slice(0, most);
      } catch {
        // Names that are here already are still offered.
      }
    }, pause);
    this.#stop = () => {
      clearTimeout(timer);
      abort.abort();
    };
  }
}
