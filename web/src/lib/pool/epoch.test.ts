import { expect, it } from 'vitest';
import { met, nothingSeen, seenFrom } from './epoch';

it('remembers the latest epoch and never goes back to an earlier one', () => {
  const first = met(nothingSeen, 3, 'atl');
  expect(first).toEqual({ seen: { epoch: 3, site: 'atl' }, behind: false, moved: false });
  const moved = met(first.seen, 1000, 'bos');
  expect(moved).toEqual({ seen: { epoch: 1000, site: 'bos' }, behind: false, moved: true });
  expect(met(moved.seen, 3, 'atl')).toEqual({ seen: moved.seen, behind: true, moved: false });
  expect(met(moved.seen, 1000, 'bos')).toMatchObject({ behind: false, moved: false });
});

it('a change within the site is no move, and neither is one between sites that nobody named', () => {
  expect(met({ epoch: 3, site: 'atl' }, 4, 'atl').moved).toBe(false);
  expect(met({ epoch: 3, site: null }, 4, 'atl')).toEqual({
    seen: { epoch: 4, site: 'atl' },
    behind: false,
    moved: false,
  });
  expect(met({ epoch: 3, site: 'atl' }, 4, null)).toEqual({
    seen: { epoch: 4, site: 'atl' },
    behind: false,
    moved: false,
  });
});

it('a server alone ends it', () => {
  expect(met({ epoch: 1000, site: 'bos' }, 0, null)).toEqual({ seen: nothingSeen, behind: false, moved: false });
});

it('does not trust what is stored', () => {
  expect(seenFrom({ epoch: 7, site: 'bos' })).toEqual({ epoch: 7, site: 'bos' });
  for (const bad of [null, 5, 'x', {}, { epoch: '7' }, { epoch: -1 }, { epoch: Number.NaN }])
    expect(seenFrom(bad)).toEqual(nothingSeen);
  expect(seenFrom({ epoch: 7, site: 7 })).toEqual({ epoch: 7, site: null });
});
