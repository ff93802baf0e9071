import { describe, expect, it } from 'vitest';
import { segments, type Names } from './segments';

const names: Names = {
  isMentioned: (name) => name === 'ana.ruiz',
  roomNamed: (name) => (name === 'desk' ? 7 : undefined),
  origins: ['https://chat.example', 'https://two.example.org'],
};
const split = (text: string) => segments(text, names);
const back = (text: string) =>
  split(text)
    .map((segment) => segment.text)
    .join('');

describe('segments', () => {
  it('leaves plain text alone, markup included', () => {
    expect(split('<b>1 < 2</b> & "so"')).toEqual([{ type: 'text', text: '<b>1 < 2</b> & "so"' }]);
  });

  it('finds links and their host, without the punctuation around them', () => {
    expect(split('see https://example.org/a?b=1, and (http://x.test/y).')).toMatchObject([
      { text: 'see ' },
      { type: 'link', text: 'https://example.org/a?b=1', host: 'example.org' },
      { text: ', and (' },
      { type: 'link', text: 'http://x.test/y', host: 'x.test' },
      { text: ').' },
    ]);
    expect(split('https://de.wikipedia.org/wiki/Anker_(Schiff)')).toMatchObject([
      { type: 'link', href: 'https://de.wikipedia.org/wiki/Anker_(Schiff)' },
    ]);
  });

  it('never makes a link of another scheme or of an address with a user in it', () => {
    for (const text of ['javascript:alert(1)', 'data:text/html,x', 'https://bank.example@evil.test/', 'https://']) {
      expect(split(text).every((segment) => segment.type === 'text')).toBe(true);
    }
  });

  it('shows the host as the machine reads it, so that look-alike letters show', () => {
    expect(split('https://exаmple.org/')).toMatchObject([{ type: 'link', host: 'xn--exmple-4nf.org' }]);
  });

  it('knows mentions and rooms only where they exist', () => {
    expect(split('@ana.ruiz and @nobody in #desk or #other, mail ana@desk.test')).toEqual([
      { type: 'mention', text: '@ana.ruiz', name: 'ana.ruiz' },
      { type: 'text', text: ' and @nobody in ' },
      { type: 'room', text: '#desk', room: 7 },
      { type: 'text', text: ' or #other, mail ana@desk.test' },
    ]);
    expect(split('@ana.ruiz.')).toMatchObject([{ type: 'mention' }, { text: '.' }]);
  });

  it('opens links to this server here', () => {
    expect(split('https://chat.example/rooms/5?at=9')).toMatchObject([{ type: 'link', path: '/rooms/5?at=9' }]);
  });

  it('opens links to other servers of the pool here, and to nobody else', () => {
    expect(split('https://two.example.org/rooms/5')).toMatchObject([{ type: 'link', path: '/rooms/5' }]);
    expect(split('https://two.example.org.evil.example/rooms/5')).toMatchObject([{ type: 'link', path: null }]);
  });

  it('loses no letter', () => {
    for (const text of [
      '',
      'a',
      '@ana.ruiz',
      '#desk#desk',
      'http://a.b/..',
      'x http://[ y',
      '##desk @@ana.ruiz',
      '🙂 #desk',
    ]) {
      expect(back(text)).toBe(text);
    }
  });
});
