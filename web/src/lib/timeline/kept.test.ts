import { expect, it } from 'vitest';
import { afterCut, afterJoin, afterLook, keptAtMost, keptFor, recent, uncertain, withKept, type Kept } from './kept';

const item = (clientId: string, seq: number, rest: Partial<Kept> = {}): Kept => ({
  clientId,
  room: 5,
  seq,
  epoch: 1,
  at: '2026-05-12T09:00:00.000Z',
  since: 0,
  text: clientId,
  title: null,
  alert: false,
  files: [],
  ...rest,
});
const ids = (list: readonly Kept[]) => list.map((one) => one.clientId);

it('keeps what was accepted lately, each once, and not without bound', () => {
  let list: readonly Kept[] = [];
  list = withKept(list, item('a', 1), 0);
  list = withKept(list, item('a', 1), 0);
  list = withKept(list, item('b', 2, { since: 1000 }), 1000);
  expect(ids(list)).toEqual(['a', 'b']);
  expect(ids(recent(list, keptFor))).toEqual(['b']);
  for (let i = 0; i < 3 * keptAtMost; i++) list = withKept(list, item(`n${i}`, i), 1000);
  expect(list).toHaveLength(keptAtMost);
  expect(list.at(-1)?.clientId).toBe(`n${3 * keptAtMost - 1}`);
});

it('parts what was preserved from what was not, by number and epoch, in the room alone', () => {
  const list = [
    item('there', 48),
    item('gone', 49),
    item('elsewhere', 49, { room: 6 }),
    // Accepted by the site that goes on: the numbers were given again.
    item('later', 49, { epoch: 1000 }),
  ];
  const { kept, lost } = afterCut(list, 5, 1000, 48);
  expect(ids(lost)).toEqual(['gone']);
  expect(kept.map((one) => [one.clientId, one.epoch])).toEqual([
    ['there', 1000],
    ['elsewhere', 1],
    ['later', 1000],
  ]);
  expect(ids(uncertain(kept, 1000))).toEqual(['elsewhere']);
  expect(ids(afterCut(kept, 5, 1000, 48).lost)).toEqual([]);
});

it('a room that lost nothing has everything under the new epoch', () => {
  const list = afterJoin([item('a', 7), item('b', 900)], 5, 1001);
  expect(uncertain(list, 1001)).toEqual([]);
  // A further move counts from there.
  expect(ids(afterCut(list, 5, 2000, 800).lost)).toEqual(['b']);
});

it('what was looked up is there, or is not, and an older answer changes nothing', () => {
  const list = [item('a', 7), item('b', 8), item('c', 9, { epoch: 1000 })];
  const there = afterLook(list, 'a', 1000, true);
  expect(ids(uncertain(there.kept, 1000))).toEqual(['b']);
  const gone = afterLook(there.kept, 'b', 1000, false);
  expect([ids(gone.kept), ids(gone.lost)]).toEqual([['a', 'c'], ['b']]);
  expect(afterLook(list, 'c', 1000, false)).toEqual({ kept: list, lost: [] });
  expect(afterLook(list, 'z', 1000, false).lost).toEqual([]);
});
