import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { current } from './base.svelte';
import { call, get, onTrouble, readiness, url } from './http';
import { Problem } from './problem';

type Answer = () => Promise<Response> | Response;

let answers: Record<string, Answer>;
let asked: { address: string; init: RequestInit }[];

const ok = (body: unknown) => new Response(JSON.stringify(body), { status: 200 });
const refused = (status: number, body: unknown) => new Response(JSON.stringify(body), { status });
const standby = () => refused(503, { code: 'standby', title: '', status: 503, detail: 'No.', servers: ['http://two'] });
const gone = () => Promise.reject(new TypeError('Failed to fetch'));

beforeEach(() => {
  current.change('', false);
  answers = {};
  asked = [];
  vi.stubGlobal('fetch', (address: string, init: RequestInit) => {
    asked.push({ address, init });
    const answer = answers[address];
    return answer
      ? Promise.resolve(answer())
      : new Promise((_, reject) =>
          init.signal?.addEventListener('abort', () => reject(new DOMException('', 'AbortError'))),
        );
  });
  onTrouble({
    elsewhere: async (servers) => {
      current.change(servers[0]!, false);
      return true;
    },
    silent: async () => {
      current.change('http://two', true);
      return true;
    },
  });
});

afterEach(() => vi.unstubAllGlobals());

it('sends everything to the current server, with the session when that is another than the page came from', async () => {
  answers['/api/v1/me'] = () => ok('one');
  answers['http://two/api/v1/me'] = () => ok('two');
  expect(await get('/me')).toBe('one');
  current.change('http://two', false);
  expect(await get('/me')).toBe('two');
  expect(asked.map(({ init }) => init.credentials)).toEqual(['same-origin', 'include']);
  expect(url('/files/a', { download: 1 })).toBe('http://two/api/v1/files/a?download=1');
});

it('asks again where a standby says, whatever it was: the standby has done nothing', async () => {
  answers['/api/v1/rooms/5/messages'] = standby;
  answers['http://two/api/v1/rooms/5/messages'] = () => ok({ seq: 7 });
  expect(await call('POST', '/rooms/5/messages', { text: 'x' })).toEqual({ seq: 7 });
  expect(asked).toHaveLength(2);
});

it('is not sent round in circles', async () => {
  answers['/api/v1/me'] = standby;
  answers['http://two/api/v1/me'] = standby;
  await expect(get('/me')).rejects.toMatchObject({ code: 'standby', servers: ['http://two'] });
  expect(asked.length).toBeLessThan(6);
});

it('asks another server what only reads, and leaves what may have been done to whoever asked', async () => {
  answers['/api/v1/me'] = gone;
  answers['http://two/api/v1/me'] = () => ok('two');
  expect(await get('/me')).toBe('two');
  current.change('', false);
  answers['/api/v1/rooms/5/messages'] = gone;
  await expect(call('POST', '/rooms/5/messages', {})).rejects.toMatchObject({ status: 0, unknown: true });
  expect(asked.filter(({ address }) => address.endsWith('messages'))).toHaveLength(1);
});

it('what answers in place of a server that is gone counts as its silence', async () => {
  answers['/api/v1/me'] = () => new Response('<html>Bad gateway</html>', { status: 502 });
  answers['http://two/api/v1/me'] = () => ok('two');
  expect(await get('/me')).toBe('two');
  answers['http://three/health/ready'] = () => new Response('', { status: 503 });
  answers['http://four/health/ready'] = standby;
  answers['http://two/health/ready'] = () => ok({ status: 'ready', epoch: 7 });
  const { signal } = new AbortController();
  expect(await readiness('http://three', signal)).toEqual({ found: 'silent', epoch: null });
  expect(await readiness('http://four', signal)).toEqual({ found: 'unready', epoch: null });
  expect(await readiness('http://two', signal)).toEqual({ found: 'ready', epoch: 7 });
});

it('a request to a server that hangs ends when that one is left', async () => {
  onTrouble({ elsewhere: async () => false, silent: async (from) => from !== current.base });
  const post = call('POST', '/rooms/5/messages', {});
  const read = get('/me');
  answers['http://two/api/v1/me'] = () => ok('two');
  current.change('http://two', true);
  await expect(post).rejects.toMatchObject({ status: 0 });
  expect(await read).toBe('two');
});

it('whoever gave up asking is told so, and not that the server is gone', async () => {
  const abort = new AbortController();
  const asking = get('/search', {}, abort.signal);
  abort.abort();
  await expect(asking).rejects.toMatchObject({ name: 'AbortError' });
});

it('an answer that breaks off in the middle is none', async () => {
  onTrouble({ elsewhere: async () => false, silent: async () => false });
  answers['/api/v1/rooms/5/messages'] = () => new Response('{"seq": 7, "te', { status: 201 });
  await expect(call('POST', '/rooms/5/messages', {})).rejects.toMatchObject({ status: 0 });
});

it('knows what was certainly not done', () => {
  const problem = (status: number, code: string) => new Problem({ code, status, title: '', detail: '' });
  for (const [status, code] of [
    [503, 'unavailable'],
    [503, 'standby'],
    [507, 'storage-full'],
    [422, 'invalid'],
  ] as const) {
    expect(problem(status, code).unknown, code).toBe(false);
  }
  for (const [status, code] of [
    [503, 'outcome-unknown'],
    [500, 'internal'],
    [502, 'gateway'],
    [0, 'unreachable'],
  ] as const) {
    expect(problem(status, code).unknown, code).toBe(true);
  }
});
