import { expect, it } from 'vitest';
import { de } from './de';
import { en } from './en';
import { fill } from './fill';

const english: Record<string, string> = en;
const german: Record<string, string> = de;
const holes = (text: string) => [...new Set(text.match(/\{\w+\}/g) ?? [])].sort();

it('has the same keys in both languages, and no empty text', () => {
  expect(Object.keys(german).sort()).toEqual(Object.keys(english).sort());
  for (const [key, text] of [...Object.entries(english), ...Object.entries(german)]) {
    expect(text.trim(), key).not.toBe('');
  }
});

it('has the same holes to fill, and the same number of forms', () => {
  for (const key of Object.keys(english)) {
    expect(holes(german[key]!), key).toEqual(holes(english[key]!));
    expect(german[key]!.split(' | ').length, key).toBe(english[key]!.split(' | ').length);
  }
});

it('fills values in and chooses the form', () => {
  expect(fill('{n} message | {n} messages', { n: 1 })).toBe('1 message');
  expect(fill('{n} message | {n} messages', { n: 0 })).toBe('0 messages');
  expect(fill('{a} and {b}', { a: 'x' })).toBe('x and {b}');
});

it('every key is used somewhere', () => {
  const files = import.meta.glob(['/src/**/*.{ts,svelte}', '!/src/lib/i18n/{en,de}.ts'], {
    query: '?raw',
    import: 'default',
    eager: true,
  });
  const source = Object.values(files).join('\n');
  // Some keys are put together from a fixed beginning, like `action.${name}`.
  const beginnings = [...source.matchAll(/[`']([a-z_]+(?:\.[a-z_]+)*[._])\$\{/g)].map((match) => match[1]!);
  const unused = Object.keys(english).filter(
    (key) => !source.includes(`'${key}'`) && !beginnings.some((beginning) => key.startsWith(beginning)),
  );
  expect(unused).toEqual([]);
});
