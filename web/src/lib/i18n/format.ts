// Dates, times and sizes in the reader's zone and language.

import { chosen } from './language.svelte';

const formats = new Map<string, Intl.DateTimeFormat>();

function format(at: string | number | Date, options: Intl.DateTimeFormatOptions): string {
  // Making a formatter costs far more than using one, and a timeline asks for thousands.
  const key = chosen.locale + JSON.stringify(options);
  let formatter = formats.get(key);
  if (!formatter) formats.set(key, (formatter = new Intl.DateTimeFormat(chosen.locale, options)));
  return formatter.format(new Date(at));
}

export function timeOf(at: string | number): string {
  return format(at, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
}

export function dayName(at: string): string {
  const sameYear = new Date(at).getFullYear() === new Date().getFullYear();
  return format(at, {
    weekday: 'long',
    day: 'numeric',
    month: 'long',
    ...(sameYear ? {} : { year: 'numeric' }),
  });
}

export function dateOf(at: string): string {
  return format(at, { day: 'numeric', month: 'short', year: 'numeric' });
}

export function momentOf(at: string): string {
  return format(at, {
    day: 'numeric',
    month: 'short',
    year: 'numeric',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  });
}

/** The whole truth, for the title of a shorter form. */
export function exactly(at: string): string {
  return format(at, {
    weekday: 'long',
    day: 'numeric',
    month: 'long',
    year: 'numeric',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    fractionalSecondDigits: 3,
    hourCycle: 'h23',
    timeZoneName: 'short',
  });
}

/** The calendar day in the reader's zone, as a date input has it. */
export function dayOf(at: string | number): string {
  const date = new Date(at);
  const two = (n: number) => String(n).padStart(2, '0');
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

/** The instant at which a calendar day begins for the reader. */
export function startOfDay(day: string): string {
  return new Date(`${day}T00:00:00`).toISOString();
}

/** The instant at which the next calendar day begins: the end of a range that includes the whole day. */
export function endOfDay(day: string): string {
  const date = new Date(`${day}T00:00:00`);
  date.setDate(date.getDate() + 1);
  return date.toISOString();
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
