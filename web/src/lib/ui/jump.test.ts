import { expect, it } from 'vitest';
import { best, rank } from './jump';

it('puts beginnings before words before parts before scattered letters', () => {
  const names = ['bond-desk', 'desk', 'helpdesk', 'dresden kiosk', 'desk-fx', 'other'];
  expect(best('desk', names, (name) => name, 10)).toEqual([
    'desk',
    'desk-fx',
    'bond-desk',
    'helpdesk',
    'dresden kiosk',
  ]);
});

it('ignores case and accents, and leaves out what does not match', () => {
  expect(rank('cafe', 'Café')).toBe(100);
  expect(rank('zz', 'desk')).toBe(0);
});

it('keeps the given order when nothing is typed', () => {
  expect(best('', ['b', 'a'], (name) => name, 5)).toEqual(['b', 'a']);
});
