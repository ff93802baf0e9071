import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { bytesOf, dayName, dayOf, endOfDay, startOfDay, timeOf } from './format';
import { chosen } from './language.svelte';

const zone = process.env.TZ;
beforeAll(() => {
  process.env.TZ = 'Europe/Berlin';
  vi.stubGlobal('navigator', { languages: [] });
});
afterAll(() => {
  process.env.TZ = zone;
  vi.unstubAllGlobals();
});

it('shows times by the clock of the reader', () => {
  chosen.choose('en');
  expect(timeOf('2026-05-12T22:05:00.000Z')).toBe('00:05');
  expect(dayOf('2026-05-12T22:05:00.000Z')).toBe('2026-05-13');
});

it('speaks the chosen language', () => {
  chosen.choose('de');
  expect(dayName('2020-05-12T10:00:00.000Z')).toBe('Dienstag, 12. Mai 2020');
  chosen.choose('en');
  expect(dayName('2020-05-12T10:00:00.000Z')).toMatch(/^Tuesday,? 12 May 2020$/);
});

it('takes a day from midnight to midnight, also when the clocks change', () => {
  expect(startOfDay('2026-05-13')).toBe('2026-05-12T22:00:00.000Z');
  expect(startOfDay('2026-03-29')).toBe('2026-03-28T23:00:00.000Z');
  expect(endOfDay('2026-03-29')).toBe('2026-03-29T22:00:00.000Z');
});

it('counts bytes as people do', () => {
  chosen.choose('en');
  expect([0, 999, 1000, 12_345, 20_971_520].map(bytesOf)).toEqual(['0 B', '999 B', '1 kB', '12 kB', '21 MB']);
});
