import { expect, it } from 'vitest';
import type { Room } from '../api';
import { sectionsOf } from './rooms.svelte';

const room = (id: number, name: string, category: string, followed: boolean) =>
  ({ id, name, category: { id: category.charCodeAt(0), name: category }, me: { followed } }) as Room;

it('lists followed rooms first and the others by category, all by name', () => {
  const sections = sectionsOf([
    room(1, 'zinc', 'Metals', false),
    room(2, 'desk', 'Desks', true),
    room(3, 'alu', 'Metals', false),
    room(4, 'bonds', 'Desks', false),
    room(5, 'Ask', 'Metals', true),
  ]);
  expect(sections.map((section) => [section.category?.name ?? null, section.rooms.map((r) => r.name)])).toEqual([
    [null, ['Ask', 'desk']],
    ['Desks', ['bonds']],
    ['Metals', ['alu', 'zinc']],
  ]);
});

it('has no empty section', () => {
  expect(sectionsOf([])).toEqual([]);
});
