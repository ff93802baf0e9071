// What the people who run this tell everybody: of an outage, and anything else.

import type { Outage } from '../api';
import { nextChange, outageSentence } from '../ui/outage';
import { momentOf, timeOf, dayOf } from '../i18n/format';
import { t } from '../i18n';
import { said } from '../ui/said.svelte';

/** Announcements on the screen at once; those before them have been read, or nobody looks. */
const MOST = 3;
/** Longer than this a timer cannot wait. */
const LONGEST = 2 ** 31 - 1;

class Notices {
  #outage = $state.raw<Outage | null>(null);
  #now = $state(Date.now());
  #hidden = $state<string | null>(null);
  #timer: ReturnType<typeof setTimeout> | undefined;
  announcements = $state<{ id: number; text: string }[]>([]);
  #next = 1;

  /** What is to be read of an outage now; null if there is none, or the reader has put it away. */
  get outage(): { text: string; planned: boolean } | null {
    const outage = this.#outage;
    if (!outage || this.#hidden === JSON.stringify(outage)) return null;
    const text = sentence(outage, this.#now);
    return text === null ? null : { text, planned: outage.planned };
  }

  outageIs(outage: Outage | null): void {
    const isNew = outage !== null && JSON.stringify(outage) !== JSON.stringify(this.#outage);
    this.#outage = outage;
    this.#look();
    if (isNew && this.outage) said.politely(this.outage.text);
  }

  announced(text: string): void {
    this.announcements = [...this.announcements.slice(1 - MOST), { id: this.#next++, text }];
    said.politely(t('announcement', { text }));
  }

  hideOutage(): void {
    this.#hidden = JSON.stringify(this.#outage);
  }

  dismiss(id: number): void {
    this.announcements = this.announcements.filter((one) => one.id !== id);
  }

  #look(): void {
    clearTimeout(this.#timer);
    this.#now = Date.now();
    const at = this.#outage && nextChange(this.#outage, this.#now);
    if (at !== null) this.#timer = setTimeout(() => this.#look(), Math.min(at - this.#now + 50, LONGEST));
  }
}

function sentence(outage: Outage, now: number): string | null {
  const when = (at: string) => (dayOf(at) === dayOf(now) ? timeOf(at) : momentOf(at));
  const said = outageSentence(outage, now, when);
  return said && t(said.key, said.values);
}

export const notices = new Notices();
