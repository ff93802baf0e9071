import { describe, expect, it } from 'vitest';
import type { Edit, Entry, MessageEntry, Page, Person } from '../api/types';
import {
  cutAfter,
  find,
  fromPage,
  isMessage,
  lastMessageOf,
  withFresh,
  withLive,
  withNewer,
  withOlder,
  withoutNewest,
  withoutOldest,
} from './window';

const ana: Person = { id: 1, name: 'ana', display_name: 'Ana', kind: 'person' };
const bo: Person = { id: 2, name: 'bo', display_name: 'Bo', kind: 'person' };

function base(seq: number, author = ana) {
  const at = new Date(Date.UTC(2026, 4, 12, 9, 0, seq)).toISOString();
  return { room: 5, seq, at, recorded_at: at, author, client_id: `c${seq}` };
}
function message(seq: number, text = `text ${seq}`, author = ana): MessageEntry {
  return {
    ...base(seq, author),
    kind: 'message',
    message: { text, title: null, alert: false, action: false, files: [], mentions: [] },
    edited: null,
    removed: null,
  };
}
function range(from: number, to: number): Entry[] {
  return Array.from({ length: to - from + 1 }, (_, i) => message(from + i));
}
function page(entries: Entry[], head: number, rest: Partial<Page> = {}): Page {
  return { room: 5, epoch: 1, entries, head, more_before: false, more_after: false, ...rest };
}
const seqs = (entries: readonly Entry[]) => entries.map((entry) => entry.seq);
const textOf = (entry: Entry | undefined) => (isMessage(entry) ? entry.message?.text : undefined);

describe('pages', () => {
  it('joins older and newer pages into one run without repeats', () => {
    let window = fromPage(page(range(50, 60), 100, { more_before: true, more_after: true }));
    window = withOlder(window, page(range(40, 52), 100, { more_before: true, more_after: true }));
    window = withNewer(window, page(range(58, 70), 100, { more_before: true, more_after: true }));
    expect(seqs(window.entries)).toEqual(Array.from({ length: 31 }, (_, i) => 40 + i));
    expect(window).toMatchObject({ moreBefore: true, moreAfter: true, through: 70, head: 100 });
  });

  it('counts as seen what a last page leaves out, since some entries are not given to everybody', () => {
    const window = fromPage(page(range(1, 8), 10));
    expect(window.through).toBe(10);
    expect(withLive(window, message(11)).arrival).toBe('added');
  });

  it('can let go of either end, and then says that there is more', () => {
    const window = fromPage(page(range(1, 100), 100));
    const cut = withoutNewest(window, 60);
    expect(cut).toMatchObject({ moreAfter: true, through: 60, head: 100 });
    expect(withLive(cut, message(101)).arrival).toBe('apart');
    const rest = withoutOldest(window, 60);
    expect(rest).toMatchObject({ moreBefore: true, moreAfter: false, through: 100 });
    expect(rest.entries[0]?.seq).toBe(41);
    expect(withoutOldest(window, 100)).toBe(window);
  });
});

describe('live entries', () => {
  const start = fromPage(page(range(1, 10), 10));

  it('adds the next one and ignores a repeat', () => {
    const first = withLive(start, message(11));
    expect(first.arrival).toBe('added');
    const again = withLive(first.window, message(11));
    expect(again.arrival).toBe('known');
    expect(seqs(again.window.entries)).toEqual(seqs(first.window.entries));
  });

  it('notices a gap and does not show what lies beyond it', () => {
    const { window, arrival } = withLive(start, message(13));
    expect(arrival).toBe('ahead');
    expect(window.entries.length).toBe(10);
    expect(window.head).toBe(13);
    const filled = withNewer(window, page(range(11, 13), 13));
    expect(seqs(filled.entries).slice(-4)).toEqual([10, 11, 12, 13]);
  });

  it('only moves the head while another part of the room is shown', () => {
    const window = fromPage(page(range(1, 10), 50, { more_after: true }));
    const next = withLive(window, message(51));
    expect(next.arrival).toBe('apart');
    expect(next.window).toMatchObject({ head: 51, through: 10 });
  });
});

describe('a cut', () => {
  it('lets go of what was not preserved, and what comes under the same numbers follows', () => {
    const start = fromPage(page(range(1, 50), 50));
    const { window, messages, stale } = cutAfter(start, 48);
    expect(window).toMatchObject({ through: 48, head: 48, moreAfter: false });
    expect([messages, stale]).toEqual([2, []]);
    const next = withLive(window, message(49, 'instead', bo));
    expect(next.arrival).toBe('added');
    expect(textOf(find(next.window, 49))).toBe('instead');
    expect(find(next.window, 50)).toBeUndefined();
  });

  it('names the messages that something beyond it had changed, and takes them as they read now', () => {
    let { window } = withLive(fromPage(page(range(1, 10), 10)), {
      ...base(11),
      kind: 'edit',
      edit: { of: 4, text: 'changed', title: null, action: null, files: null, mentions: [] },
    });
    window = withLive(window, { ...base(12), kind: 'retraction', of: 5 }).window;
    const cut = cutAfter(window, 11);
    expect(cut.stale).toEqual([5]);
    expect(cut.messages).toBe(0);
    expect(cutAfter(window, 10).stale).toEqual([4, 5]);
    expect(textOf(find(withFresh(cut.window, message(5)), 5))).toBe('text 5');
    expect(withFresh(cut.window, message(99))).toBe(cut.window);
  });

  it('of another part of the room only takes away what lies in it', () => {
    const part = fromPage(page(range(1, 10), 50, { more_after: true }));
    expect(cutAfter(part, 40).window).toMatchObject({ through: 10, head: 40, moreAfter: true });
    expect(cutAfter(part, 8).window).toMatchObject({ through: 8, head: 8, moreAfter: false });
  });
});

describe('changes', () => {
  const start = fromPage(page(range(1, 10), 10));
  const edit = (seq: number, of: number, text: string, more: Partial<Edit> = {}): Entry => ({
    ...base(seq),
    kind: 'edit',
    edit: { of, text, title: null, action: null, files: null, mentions: [], ...more },
  });

  it('applies an edit, and an older edit heard late does not undo it', () => {
    let { window } = withLive(start, edit(11, 4, 'first'));
    window = withLive(window, edit(12, 4, 'second')).window;
    window = withLive(window, edit(11, 4, 'first')).window;
    expect(textOf(find(window, 4))).toBe('second');
    expect((find(window, 4) as MessageEntry).edited?.seq).toBe(12);
  });

  it('takes what an edit says of files, mentions and doing, and keeps what it is silent of', () => {
    const plan = { id: 'p', name: 'plan.txt', bytes: 1, type: 'text/plain', thumbnail: false };
    let { window } = withLive(start, edit(11, 4, 'first', { action: true, files: [plan], mentions: [bo.id] }));
    expect((find(window, 4) as MessageEntry).message).toMatchObject({ action: true, files: [plan], mentions: [bo.id] });
    window = withLive(window, edit(12, 4, 'second')).window;
    expect((find(window, 4) as MessageEntry).message).toMatchObject({ action: true, files: [plan], mentions: [] });
    window = withLive(window, edit(13, 4, 'third', { action: false, files: [] })).window;
    expect((find(window, 4) as MessageEntry).message).toMatchObject({ action: false, files: [] });
  });

  it('leaves a retracted message empty, also when an edit of it is heard later', () => {
    let { window } = withLive(start, { ...base(11), kind: 'retraction', of: 4 });
    window = withLive(window, edit(12, 4, 'too late')).window;
    const target = find(window, 4) as MessageEntry;
    expect(target.message).toBeNull();
    expect(target.removed).toMatchObject({ how: 'retracted', by: ana, reason: null });
  });

  it('removes several with the reason and the replacement', () => {
    const { window } = withLive(start, {
      ...base(11, bo),
      kind: 'removal',
      of: [2, 3, 99],
      reason: 'Client name',
      replacement: '[removed]',
    });
    for (const seq of [2, 3]) {
      expect((find(window, seq) as MessageEntry).removed).toMatchObject({
        how: 'removed',
        by: bo,
        reason: 'Client name',
        replacement: '[removed]',
      });
    }
    expect(textOf(find(window, 4))).toBe('text 4');
  });

  it('purges everything up to a number', () => {
    const { window } = withLive(start, { ...base(11, bo), kind: 'purge', through: 6 });
    expect(
      window.entries.filter((entry) => isMessage(entry) && entry.removed?.how === 'purged').map((e) => e.seq),
    ).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('applies changes that came in the same page', () => {
    const window = fromPage(page([message(1), message(2), edit(3, 1, 'changed')], 3));
    expect(textOf(find(window, 1))).toBe('changed');
  });

  it('finds the last own message that still has text', () => {
    const { window } = withLive(fromPage(page([message(1), message(2), message(3, 'x', bo)], 3)), {
      ...base(4),
      kind: 'retraction',
      of: 2,
    });
    expect(lastMessageOf(window, ana.id)?.seq).toBe(1);
    expect(lastMessageOf(window, 77)).toBeUndefined();
  });
});
