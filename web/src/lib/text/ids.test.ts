import { expect, it, vi } from 'vitest';
import { freshId } from './ids';

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

it('makes version 4 ids, with and without a secure context', () => {
  expect(freshId()).toMatch(uuid);
  vi.stubGlobal('crypto', { getRandomValues: crypto.getRandomValues.bind(crypto) });
  const ids = new Set(Array.from({ length: 200 }, freshId));
  vi.unstubAllGlobals();
  expect(ids.size).toBe(200);
  for (const id of ids) expect(id).toMatch(uuid);
});
