import { expect, it } from 'vitest';
import { afterEvent, nextToSend, patience, restored, type Pending } from './pending';

const item = (clientId: string, state: Pending['state']): Pending => ({
  clientId,
  room: 1,
  at: '2026-05-12T09:00:00.000Z',
  text: clientId,
  title: null,
  alert: false,
  files: [],
  state,
  reason: null,
  doubt: false,
  putOffAt: null,
});

it('sends one at a time and in order, stepping over refused ones', () => {
  expect(nextToSend([item('a', 'failed'), item('b', 'waiting'), item('c', 'waiting')])?.clientId).toBe('b');
  expect(nextToSend([item('a', 'sending'), item('b', 'waiting')])).toBeUndefined();
});

it('keeps the client id through failure and resending', () => {
  let list: readonly Pending[] = [item('a', 'sending')];
  list = afterEvent(list, { type: 'held', clientId: 'a' });
  expect(nextToSend(list)).toMatchObject({ clientId: 'a', state: 'waiting' });
  list = afterEvent(list, { type: 'refused', clientId: 'a', reason: 'Too long.' });
  expect(list[0]).toMatchObject({ state: 'failed', reason: 'Too long.' });
  list = afterEvent(list, { type: 'again', clientId: 'a' });
  expect(list[0]).toMatchObject({ clientId: 'a', state: 'waiting', reason: null });
});

it('never says of a message that may have arrived that it was not sent', () => {
  let list: readonly Pending[] = [item('a', 'sending')];
  list = afterEvent(list, { type: 'unanswered', clientId: 'a' });
  expect(list[0]).toMatchObject({ state: 'waiting', doubt: true });
  for (const now of [0, patience, 10 * patience]) {
    list = afterEvent(list, { type: 'put-off', clientId: 'a', reason: 'The database is away.', now });
    expect(list[0]).toMatchObject({ state: 'waiting', doubt: true, reason: 'The database is away.' });
  }
  list = afterEvent(list, { type: 'refused', clientId: 'a', reason: 'You may not write here.' });
  expect(list[0]).toMatchObject({ state: 'doubtful', reason: 'You may not write here.' });
  list = afterEvent(list, { type: 'again', clientId: 'a' });
  expect(list[0]).toMatchObject({ state: 'waiting', doubt: true });
});

it('puts a message off while the server cannot take any, and then leaves it to a person', () => {
  const putOff = (now: number) => ({ type: 'put-off', clientId: 'a', reason: 'The database is away.', now }) as const;
  let list: readonly Pending[] = [item('a', 'sending')];
  list = afterEvent(list, putOff(1000));
  list = afterEvent(list, { type: 'sent', clientId: 'a' });
  list = afterEvent(list, putOff(1000 + patience - 1));
  expect(list[0]).toMatchObject({ state: 'waiting', reason: 'The database is away.' });
  list = afterEvent(list, putOff(1000 + patience));
  expect(list[0]).toMatchObject({ state: 'failed', reason: 'The database is away.' });
  expect(nextToSend(list)).toBeUndefined();
  list = afterEvent(afterEvent(list, { type: 'again', clientId: 'a' }), putOff(2000 + patience));
  expect(list[0]).toMatchObject({ state: 'waiting' });
});

it('discards only what was refused: a message in flight may already be in the room', () => {
  const list = [item('a', 'sending'), item('b', 'failed')];
  expect(afterEvent(list, { type: 'discarded', clientId: 'a' })).toHaveLength(2);
  expect(afterEvent(list, { type: 'discarded', clientId: 'b' }).map((p) => p.clientId)).toEqual(['a']);
});

it('what was accepted and is not there any more waits for a person, before what was written since, and keeps its id', () => {
  const gone = (clientId: string, at: string) => ({ ...item(clientId, 'lost'), at });
  let list: readonly Pending[] = [item('c', 'waiting'), item('b', 'accepted')];
  const items = [gone('b', '2026-05-12T08:59:00.000Z'), gone('a', '2026-05-12T08:58:00.000Z')];
  list = afterEvent(list, { type: 'lost', items });
  list = afterEvent(list, { type: 'lost', items });
  expect(list.map((one) => [one.clientId, one.state])).toEqual([
    ['a', 'lost'],
    ['b', 'lost'],
    ['c', 'waiting'],
  ]);
  expect(nextToSend(list)?.clientId).toBe('c');
  list = afterEvent(list, { type: 'again', clientId: 'a' });
  expect(nextToSend(list)).toMatchObject({ clientId: 'a', state: 'waiting' });
  expect(afterEvent(list, { type: 'discarded', clientId: 'b' })).toHaveLength(2);
  // It is there after all.
  expect(afterEvent(list, { type: 'shown', clientIds: new Set(['b']) })).toHaveLength(2);
  expect(restored(list).find((one) => one.clientId === 'b')?.state).toBe('lost');
});

it('lets go of what the room shows', () => {
  const list = [item('a', 'accepted'), item('b', 'waiting')];
  expect(afterEvent(list, { type: 'shown', clientIds: new Set(['a']) }).map((p) => p.clientId)).toEqual(['b']);
  expect(afterEvent(list, { type: 'shown', clientIds: new Set(['z']) })).toBe(list);
});

it('sends what a reload interrupted again', () => {
  expect(restored([item('a', 'sending'), item('b', 'failed'), item('c', 'accepted')])).toMatchObject([
    { clientId: 'a', state: 'waiting', doubt: true },
    { clientId: 'b', state: 'failed' },
  ]);
});
