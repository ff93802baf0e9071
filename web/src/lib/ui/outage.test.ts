import { describe, expect, it } from 'vitest';
import { nextChange, outageSentence } from './outage';

const outage = {
  planned: true,
  beginning: '2026-05-12T20:00:00.000Z',
  expected_end: '2026-05-12T21:00:00.000Z' as string | null,
  message: 'New disks',
  own: false,
};
const at = (time: string) => Date.parse(`2026-05-12T${time}:00.000Z`);
const when = (moment: string) => moment.slice(11, 16);
const said = (one: typeof outage, now: string) => outageSentence(one, at(now), when);

describe('an outage', () => {
  it('is to come, is there, and is over', () => {
    expect(said(outage, '19:00')).toEqual({
      key: 'outage.planned_later_until',
      values: { from: '20:00', until: '21:00', message: 'New disks' },
    });
    expect(said(outage, '20:00')?.key).toBe('outage.planned_now_until');
    expect(said(outage, '21:00')).toBeNull();
  });

  it('may have no end that anybody knows', () => {
    const open = { ...outage, planned: false, expected_end: null };
    expect(said(open, '19:00')?.key).toBe('outage.unplanned_later');
    expect(said(open, '23:59')).toEqual({
      key: 'outage.unplanned_now',
      values: { from: '20:00', until: '', message: 'New disks' },
    });
  });

  it('changes its sentence when it begins and when it should be over', () => {
    expect(nextChange(outage, at('19:00'))).toBe(at('20:00'));
    expect(nextChange(outage, at('20:00'))).toBe(at('21:00'));
    expect(nextChange(outage, at('21:00'))).toBeNull();
    expect(nextChange({ ...outage, expected_end: null }, at('20:30'))).toBeNull();
  });
});
