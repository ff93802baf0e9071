import type { Base } from '../pool/addresses';
import type { Found } from '../pool/choice';
import { current } from './base.svelte';
import { Problem, problemFrom } from './problem';

export type Query = Record<string, string | number | boolean | null | undefined>;

const root = '/api/v1';

/** Without an answer for so long, somebody looks whether the server is still there. The answer is awaited all the same. */
const slow = 5000;

/** A request is asked again at another server so often at most. */
const moves = 3;

/** Who knows what to do when a server sends one away or does not answer; each says whether requests now go elsewhere. */
export interface Guide {
  elsewhere(servers: readonly string[], from: Base): Promise<boolean>;
  silent(from: Base): Promise<boolean>;
}

let guide: Guide = { elsewhere: async () => false, silent: async () => false };
let signedOut: () => void = () => {};

export function onTrouble(callbacks: Guide): void {
  guide = callbacks;
}

/** Called whenever the server says that the session has ended, whatever was being asked. */
export function onSignedOut(callback: () => void): void {
  signedOut = callback;
}

export function url(path: string, query: Query = {}): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== null && value !== '') parameters.set(name, String(value));
  }
  const tail = parameters.toString();
  return current.base + root + path + (tail ? `?${tail}` : '');
}

async function ask<T>(method: string, path: string, query: Query, init: RequestInit): Promise<T> {
  for (let asked = 1; ; asked++) {
    const from = current.base;
    try {
      return await once<T>(method, url(path, query), from, init);
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      if (problem.code === 'not-signed-in') signedOut();
      // What may have changed something is asked again by those who know how: not here.
      if (asked > moves || !(await goesElsewhere(problem, from, method === 'GET'))) throw problem;
    }
  }
}

/** Whether the same is to be asked again, now of another server. `harmless`: asking twice does not do it twice. */
async function goesElsewhere(problem: Problem, from: Base, harmless: boolean): Promise<boolean> {
  // Refused without having been looked at: whatever it was, it can be asked again.
  if (problem.code === 'standby') return guide.elsewhere(problem.servers, from);
  if (!problem.unanswered) return false;
  const moved = guide.silent(from);
  return harmless ? moved : false;
}

async function once<T>(method: string, address: string, from: Base, init: RequestInit): Promise<T> {
  const given = init.signal ?? null;
  const { abandoned } = current;
  const ends = new AbortController();
  const end = () => ends.abort();
  given?.addEventListener('abort', end);
  abandoned.addEventListener('abort', end);
  if (given?.aborted) end();
  const patience = setTimeout(() => void guide.silent(from), slow);
  try {
    const credentials = from === '' ? 'same-origin' : 'include';
    const response = await fetch(address, { ...init, method, credentials, signal: ends.signal });
    if (!response.ok) throw await problemFrom(response);
    return response.status === 204 ? (undefined as T) : ((await response.json()) as T);
  } catch (cause) {
    if (cause instanceof Problem) throw cause;
    if (given?.aborted) throw cause instanceof DOMException ? cause : new DOMException('', 'AbortError');
    // No answer, or one that ended in the middle.
    throw Problem.unreachable();
  } finally {
    clearTimeout(patience);
    given?.removeEventListener('abort', end);
    abandoned.removeEventListener('abort', end);
  }
}

export async function get<T>(path: string, query: Query = {}, signal?: AbortSignal): Promise<T> {
  return ask('GET', path, query, signal ? { signal } : {});
}

export async function call<T>(method: string, path: string, body?: unknown, query: Query = {}): Promise<T> {
  const init: RequestInit =
    body === undefined ? {} : { body: JSON.stringify(body), headers: { 'Content-Type': 'application/json' } };
  return ask(method, path, query, init);
}

/** What a server says of itself, asked without the session: it takes clients, it takes none, or it does not answer. */
export async function readiness(base: Base, signal: AbortSignal): Promise<{ found: Found; epoch: number | null }> {
  const without = (found: Found) => ({ found, epoch: null });
  try {
    const response = await fetch(`${base}/health/ready`, { credentials: 'omit', cache: 'no-store', signal });
    if (response.ok) {
      const { epoch } = (await response.json().catch(() => ({}))) as { epoch?: unknown };
      return { found: 'ready', epoch: typeof epoch === 'number' ? epoch : null };
    }
    // What answers in place of a server that is gone is not that server.
    const problem = await problemFrom(response);
    return without(problem.code === 'gateway' ? 'silent' : 'unready');
  } catch {
    return without('silent');
  }
}

/** fetch() cannot report how much of a body has gone out, so an upload uses the older interface. */
export function upload<T>(path: string, query: Query, file: Blob, progress: (share: number) => void): Upload<T> {
  let request: XMLHttpRequest;
  let cancelled = false;
  const send = () =>
    new Promise<T>((resolve, reject) => {
      const { abandoned } = current;
      const end = () => request.abort();
      request = new XMLHttpRequest();
      request.open('POST', url(path, query));
      request.withCredentials = current.base !== '';
      request.setRequestHeader('Content-Type', file.type || 'application/octet-stream');
      request.upload.onprogress = (event) => progress(event.total ? event.loaded / event.total : 0);
      request.onerror = () => reject(Problem.unreachable());
      request.onabort = () => reject(Problem.unreachable());
      request.onloadend = () => abandoned.removeEventListener('abort', end);
      request.onload = () => {
        const response = new Response(request.responseText, {
          status: request.status < 200 ? 500 : request.status,
          headers: { 'Retry-After': request.getResponseHeader('Retry-After') ?? '' },
        });
        if (response.ok) response.json().then(resolve, () => reject(Problem.unreachable()));
        else void problemFrom(response).then(reject);
      };
      abandoned.addEventListener('abort', end);
      request.send(file);
    });
  // A file that arrived and of which nobody heard is in no message, and is cleaned up: so it may be sent again anywhere.
  const tried = async () => {
    for (let asked = 1; ; asked++) {
      const from = current.base;
      try {
        return await send();
      } catch (problem) {
        if (cancelled || asked > moves || !(problem instanceof Problem)) throw problem;
        if (!(await goesElsewhere(problem, from, true)) || cancelled) throw problem;
        progress(0);
      }
    }
  };
  const done = tried();
  return {
    done,
    cancel: () => {
      cancelled = true;
      request.abort();
    },
  };
}

export interface Upload<T> {
  done: Promise<T>;
  cancel: () => void;
}
