import { expect, it } from 'vitest';
import { roomPath, routeOf } from './route';

it('reads the addresses of the pages', () => {
  expect(routeOf('/')).toEqual({ page: 'home' });
  expect(routeOf('/rooms/5')).toEqual({ page: 'room', room: 5, at: null });
  expect(routeOf('/rooms/5', '?at=120')).toEqual({ page: 'room', room: 5, at: 120 });
  expect(routeOf('/rooms/5/manage')).toEqual({ page: 'manage', room: 5 });
  expect(routeOf('/settings')).toEqual({ page: 'settings', section: 'profile' });
  expect(routeOf('/admin/users')).toEqual({ page: 'admin', section: 'users' });
  expect(routeOf('/feeds/3')).toEqual({ page: 'feed', feed: 3 });
});

it('does not guess at what it cannot read', () => {
  for (const path of [
    '/rooms',
    '/rooms/x',
    '/rooms/1/2/3',
    '/settings/x',
    '/nowhere',
    '/directory/5',
    '/rooms/99999999999999999999',
  ]) {
    expect(routeOf(path)).toEqual({ page: 'unknown' });
  }
  expect(routeOf('/rooms/5', '?at=x')).toMatchObject({ at: null });
});

it('writes what it reads', () => {
  expect(routeOf(...(roomPath(7, 9).split(/(?=\?)/) as [string, string]))).toEqual({ page: 'room', room: 7, at: 9 });
});
