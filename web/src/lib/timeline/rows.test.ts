import { describe, expect, it } from 'vitest';
import type { Entry, MessageEntry, Person } from '../api/types';
import type { Pending } from './pending';
import { rowsOf, type Row } from './rows';
import { fromPage } from './window';

const ana: Person = { id: 1, name: 'ana', display_name: 'Ana', kind: 'person' };
const bo: Person = { id: 2, name: 'bo', display_name: 'Bo', kind: 'person' };

function message(seq: number, at: string, author = bo, rest: Partial<MessageEntry> = {}): MessageEntry {
  return {
    room: 5,
    seq,
    at,
    recorded_at: at,
    author,
    client_id: `c${seq}`,
    kind: 'message',
    message: { text: 't', title: null, alert: false, action: false, files: [], mentions: [] },
    edited: null,
    removed: null,
    ...rest,
  };
}
const pending = (clientId: string, at: string, rest: Partial<Pending> = {}): Pending => ({
  clientId,
  room: 5,
  at,
  text: 'p',
  title: null,
  alert: false,
  files: [],
  state: 'sending',
  reason: null,
  doubt: false,
  putOffAt: null,
  ...rest,
});
const options = { unreadAfter: null, me: ana.id, dayOf: (at: string) => at.slice(0, 10) };
const rows = (entries: Entry[], items: Pending[] = [], more = {}) =>
  rowsOf(
    fromPage({
      room: 5,
      epoch: 1,
      entries,
      head: entries.at(-1)?.seq ?? 0,
      more_before: true,
      more_after: false,
      ...more,
    }),
    items,
    options,
  );
const types = (list: readonly Row[]) => list.map((row) => row.type);

describe('rowsOf', () => {
  it('separates days and begins a new group after each', () => {
    const list = rows([message(1, '2026-05-12T23:59:00.000Z'), message(2, '2026-05-13T00:00:10.000Z')]);
    expect(types(list)).toEqual(['day', 'message', 'day', 'message']);
    expect(list[3]).toMatchObject({ continued: false });
  });

  it('groups consecutive messages of one author, not across others, time, alerts or notices', () => {
    const list = rows([
      message(1, '2026-05-12T09:00:00.000Z'),
      message(2, '2026-05-12T09:01:00.000Z'),
      message(3, '2026-05-12T09:02:00.000Z', ana),
      message(4, '2026-05-12T09:03:00.000Z'),
      message(5, '2026-05-12T09:20:00.000Z'),
      message(6, '2026-05-12T09:21:00.000Z', bo, {
        message: { text: 't', title: null, alert: true, action: false, files: [], mentions: [] },
      }),
      message(7, '2026-05-12T09:22:00.000Z'),
    ]);
    expect(list.flatMap((row) => (row.type === 'message' ? [row.continued] : []))).toEqual([
      false,
      true,
      false,
      false,
      false,
      false,
      false,
    ]);
  });

  it('shows the beginning only when there is nothing before', () => {
    expect(types(rows([], [], { more_before: false }))).toEqual(['beginning']);
    expect(types(rows([]))).toEqual([]);
  });

  it('puts the divider before the first unread message of somebody else', () => {
    const list = rowsOf(
      fromPage({
        room: 5,
        epoch: 1,
        entries: [
          message(1, '2026-05-12T09:00:00.000Z'),
          message(2, '2026-05-12T09:00:01.000Z', ana),
          message(3, '2026-05-12T09:00:02.000Z'),
        ],
        head: 3,
        more_before: true,
        more_after: false,
      }),
      [],
      { ...options, unreadAfter: 1 },
    );
    expect(types(list)).toEqual(['day', 'message', 'message', 'unread', 'message']);
  });

  it('collapses purged messages into one row that says how many', () => {
    const purged = {
      message: null,
      removed: {
        how: 'purged' as const,
        at: '2026-05-13T00:00:00.000Z',
        by: ana,
        reason: null,
        replacement: null,
        seq: 9,
      },
    };
    const list = rows([
      message(1, '2026-05-12T09:00:00.000Z', bo, purged),
      message(2, '2026-05-12T09:00:01.000Z', bo, purged),
      message(3, '2026-05-12T09:00:02.000Z'),
    ]);
    expect(types(list)).toEqual(['day', 'purged', 'message']);
    expect(list[1]).toMatchObject({ count: 2 });
  });

  it('keeps the key of a message from being sent to being accepted, and shows it once', () => {
    const sent = pending('c1', '2026-05-12T09:00:00.000Z');
    const before = rows([], [sent]);
    const after = rows([message(1, '2026-05-12T09:00:00.000Z', ana)], [sent]);
    expect(before.at(-1)?.key).toBe(after.at(-1)?.key);
    expect(types(after)).toEqual(['day', 'message']);
  });

  it('says where the log goes on differently, and groups nothing across it', () => {
    const cut = { after: 2, epoch: 1000, messages: 2, since: null, site: true };
    const of = (entries: Entry[], items: Pending[] = []) =>
      rowsOf(fromPage({ room: 5, epoch: 1000, entries, head: 9, more_before: true, more_after: false }), items, {
        ...options,
        cuts: [cut],
      });
    const first = [message(1, '2026-05-12T09:00:00.000Z'), message(2, '2026-05-12T09:00:01.000Z')];
    expect(types(of(first))).toEqual(['day', 'message', 'message', 'cut']);
    const list = of(
      [...first, message(3, '2026-05-12T09:00:02.000Z')],
      [
        pending('x', '2026-05-12T09:00:02.000Z', { state: 'lost' }),
        pending('y', '2026-05-12T09:00:03.000Z', { state: 'lost' }),
      ],
    );
    expect(types(list)).toEqual(['day', 'message', 'message', 'cut', 'message', 'lost', 'pending', 'pending']);
    expect(list[4]).toMatchObject({ continued: false });
    expect(list[5]).toMatchObject({ count: 2 });
    expect(types(of([message(40, '2026-05-12T10:00:00.000Z')]))).toEqual(['day', 'message']);
  });

  it('has unique keys', () => {
    const list = rows(
      Array.from({ length: 300 }, (_, i) => message(i + 1, new Date(Date.UTC(2026, 4, 1, i)).toISOString())),
      [pending('p1', '2026-05-20T09:00:00.000Z'), pending('p2', '2026-05-20T09:00:01.000Z')],
    );
    expect(new Set(list.map((row) => row.key)).size).toBe(list.length);
  });

  it('does not trust the client ids of others, nor one that comes twice', () => {
    const at = '2026-05-12T09:00:00.000Z';
    const list = rows(
      [
        message(1, at, bo, { client_id: 'x' }),
        message(2, at, ana, { client_id: 'x' }),
        message(3, at, ana, { client_id: 'x' }),
      ],
      [pending('y', at)],
    );
    expect(list.map((row) => row.key).slice(1)).toEqual(['entry-1', 'mine-x', 'entry-3', 'mine-y']);
  });

  it('does not show what is being sent while another part of the room is read', () => {
    expect(
      types(
        rows([message(1, '2026-05-12T09:00:00.000Z')], [pending('p', '2026-05-12T09:00:00.000Z')], {
          more_after: true,
        }),
      ),
    ).toEqual(['day', 'message']);
  });
});
