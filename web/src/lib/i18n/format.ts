// Dates, times and sizes in the reader's zone and language.

import { chosen } from './language.svelte';

type Format = (at: string | number | Date) => string;

/** Making a formatter costs far more than using one, and a timeline asks for thousands: each is made once a language. */
function format(options: Intl.DateTimeFormatOptions): Format {
  let locale = '';
  let formatter: Intl.DateTimeFormat | undefined;
  return (at) => {
    if (!formatter || locale !== chosen.locale) {
      locale = chosen.locale;
      formatter = new Intl.DateTimeFormat(locale, options);
    }
    return formatter.format(new Date(at));
  };
}

const clock = { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' } as const;
const date = { day: 'numeric', month: 'short', year: 'numeric' } as const;
const longDay = { weekday: 'long', day: 'numeric', month: 'long' } as const;

const dayThisYear = format(longDay);
const dayOtherYear = format({ ...longDay, year: 'numeric' });

export const timeOf = format(clock);
export const dateOf = format(date);
export const momentOf = format({ ...date, ...clock });

/** The whole truth, for the title of a shorter form. */
export const exactly = format({
  ...longDay,
  year: 'numeric',
  ...clock,
  second: '2-digit',
  fractionalSecondDigits: 3,
  timeZoneName: 'short',
});

export function dayName(at: string): string {
  const sameYear = new Date(at).getFullYear() === new Date().getFullYear();
  return sameYear ? dayThisYear(at) : dayOtherYear(at);
}

/** The calendar day in the reader's zone, as a date input has it. */
export function dayOf(at: string | number): string {
  const day = new Date(at);
  const two = (n: number) => String(n).padStart(2, '0');
  return `${day.getFullYear()}-${two(day.getMonth() + 1)}-${two(day.getDate())}`;
}

/** The instant at which a calendar day begins for the reader. */
export function startOfDay(day: string): string {
  return new Date(`${day}T00:00:00`).toISOString();
}

/** The instant at which the next calendar day begins: the end of a range that includes the whole day. */
export function endOfDay(day: string): string {
  const next = new Date(`${day}T00:00:00`);
  next.setDate(next.getDate() + 1);
  return next.toISOString();
}

export function bytesOf(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit > 0 && value < 10 ? 1 : 0;
  return `${value.toLocaleString(chosen.locale, { maximumFractionDigits: digits })} ${units[unit]}`;
}

export function numberOf(n: number): string {
  return n.toLocaleString(chosen.locale);
}
