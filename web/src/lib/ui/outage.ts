// What people are told of an outage, in words and with times of their own zone.

import type { Outage } from '../api/types';

/** Which sentence says it, and what goes into that. `now` in milliseconds. Null for one that is over. */
export function outageSentence(
  outage: Outage,
  now: number,
  when: (at: string) => string,
): { key: OutageKey; values: { from: string; until: string; message: string } } | null {
  const { planned, beginning, expected_end: end, message } = outage;
  if (end !== null && Date.parse(end) <= now) return null;
  const to_come = Date.parse(beginning) > now;
  const kind = planned ? 'planned' : 'unplanned';
  const time = to_come ? 'later' : 'now';
  const values = { from: when(beginning), until: end === null ? '' : when(end), message };
  return { key: `outage.${kind}_${time}${end === null ? '' : '_until'}`, values };
}

export type OutageKey = `outage.${'planned' | 'unplanned'}_${'later' | 'now'}${'' | '_until'}`;

/** When the sentence of an outage is another one, or none any more: it begins, or should be over. Null if time changes nothing. */
export function nextChange(outage: Outage, now: number): number | null {
  const times = [outage.beginning, outage.expected_end].map((at) => (at === null ? NaN : Date.parse(at)));
  const later = times.filter((at) => at > now);
  return later.length > 0 ? Math.min(...later) : null;
}
