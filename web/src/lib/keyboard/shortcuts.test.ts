import { expect, it } from 'vitest';
import { actionFor, keysOf, shortcuts } from './shortcuts';

const press = (key: string, rest: Partial<Parameters<typeof actionFor>[0]> = {}) => ({
  key,
  ctrlKey: false,
  metaKey: false,
  altKey: false,
  shiftKey: false,
  ...rest,
});

it('leaves letters to the field in which somebody types', () => {
  expect(actionFor(press('/'), false)).toBe('search');
  expect(actionFor(press('/'), true)).toBeNull();
  expect(actionFor(press('?', { shiftKey: true }), false)).toBe('map');
  expect(actionFor(press('c', { ctrlKey: true }), false)).toBeNull();
});

it('takes Ctrl or the command key, also inside a field', () => {
  expect(actionFor(press('k', { ctrlKey: true }), true)).toBe('jump');
  expect(actionFor(press('k', { metaKey: true }), true)).toBe('jump');
  expect(actionFor(press('k'), false)).toBeNull();
});

it('tells Alt+arrow from Alt+Shift+arrow', () => {
  expect(actionFor(press('ArrowDown', { altKey: true }), true)).toBe('room-after');
  expect(actionFor(press('ArrowDown', { altKey: true, shiftKey: true }), true)).toBe('unread-after');
});

it('works on keyboards where / needs shift, and not while a character is being composed', () => {
  expect(actionFor(press('/', { shiftKey: true }), false)).toBe('search');
  expect(actionFor(press('k', { ctrlKey: true, isComposing: true }), false)).toBeNull();
});

it('has no two actions on the same keys', () => {
  const printed = shortcuts.map((shortcut) => keysOf(shortcut).join('+'));
  expect(new Set(printed).size).toBe(printed.length);
});
