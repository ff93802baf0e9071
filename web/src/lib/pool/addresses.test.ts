import { expect, it } from 'vitest';
import { baseOf, liveAddress, reachable, shuffled } from './addresses';

const one = { origin: 'https://one.example.org', protocol: 'https:' };
const plain = { origin: 'http://127.0.0.1:8080', protocol: 'http:' };

it('takes what a list names as origins, each once, and its own as the page', () => {
  expect(
    reachable(['https://two.example.org/', 'https://one.example.org', 'https://two.example.org:443'], one),
  ).toEqual(['https://two.example.org', '']);
});

it('leaves out what cannot be asked from here', () => {
  expect(reachable(['', 'two', 'ftp://two', 'javascript:alert(1)', 5, null, 'http://two.example.org'], one)).toEqual(
    [],
  );
  expect(baseOf('http://two.example.org', plain)).toBe('http://two.example.org');
  expect(baseOf('https://two.example.org', plain)).toBe('https://two.example.org');
  expect(
    reachable(
      Array.from({ length: 50 }, (_, i) => `http://10.0.0.${i}`),
      plain,
    ),
  ).toHaveLength(8);
});

it('knows where the live connection is', () => {
  expect(liveAddress('', one)).toBe('wss://one.example.org/api/v1/live');
  expect(liveAddress('', plain)).toBe('ws://127.0.0.1:8080/api/v1/live');
  expect(liveAddress('https://two.example.org', one)).toBe('wss://two.example.org/api/v1/live');
});

it('gives every client an order of its own', () => {
  const list = ['a', 'b', 'c'];
  const first = new Map<string, number>();
  let seed = 1;
  const random = () => (seed = (seed * 16807) % 2147483647) / 2147483647;
  for (let i = 0; i < 3000; i++) {
    const order = shuffled(list, random);
    expect([...order].sort()).toEqual(list);
    first.set(order[0]!, (first.get(order[0]!) ?? 0) + 1);
  }
  for (const count of first.values()) expect(Math.abs(count - 1000)).toBeLessThan(120);
  expect(list).toEqual(['a', 'b', 'c']);
});
