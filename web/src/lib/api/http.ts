import { Problem, problemFrom } from './problem';

export type Query = Record<string, string | number | boolean | null | undefined>;

const base = '/api/v1';

let signedOut: () => void = () => {};

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
  return base + path + (tail ? `?${tail}` : '');
}

async function send(method: string, address: string, init: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(address, { method, credentials: 'same-origin', ...init });
  } catch (cause) {
    if (cause instanceof DOMException && cause.name === 'AbortError') throw cause;
    throw Problem.unreachable();
  }
  if (response.ok) return response;
  const problem = await problemFrom(response);
  if (problem.code === 'not-signed-in') signedOut();
  throw problem;
}

async function json<T>(response: Response): Promise<T> {
  if (response.status === 204) return undefined as T;
  return (await response.json()) as T;
}

export async function get<T>(path: string, query: Query = {}, signal?: AbortSignal): Promise<T> {
  return json(await send('GET', url(path, query), signal ? { signal } : {}));
}

export async function call<T>(method: string, path: string, body?: unknown, query: Query = {}): Promise<T> {
  const init: RequestInit =
    body === undefined ? {} : { body: JSON.stringify(body), headers: { 'Content-Type': 'application/json' } };
  return json(await send(method, url(path, query), init));
}

/** fetch() cannot report how much of a body has gone out, so an upload uses the older interface. */
export function upload<T>(path: string, query: Query, file: Blob, progress: (share: number) => void): Upload<T> {
  const request = new XMLHttpRequest();
  const done = new Promise<T>((resolve, reject) => {
    request.open('POST', url(path, query));
    request.setRequestHeader('Content-Type', file.type || 'application/octet-stream');
    request.upload.onprogress = (event) => progress(event.total ? event.loaded / event.total : 0);
    request.onerror = () => reject(Problem.unreachable());
    request.onabort = () => reject(Problem.unreachable());
    request.onload = () => {
      const response = new Response(request.responseText, {
        status: request.status < 200 ? 500 : request.status,
        headers: { 'Retry-After': request.getResponseHeader('Retry-After') ?? '' },
      });
      if (request.status >= 200 && request.status < 300) resolve(JSON.parse(request.responseText) as T);
      else void problemFrom(response).then(reject);
    };
    request.send(file);
  });
  return { done, cancel: () => request.abort() };
}

export interface Upload<T> {
  done: Promise<T>;
  cancel: () => void;
}
