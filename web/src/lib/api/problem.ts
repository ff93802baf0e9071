// RFC 9457 problems: what the server says went wrong, and what an unreachable server amounts to.

export interface ProblemBody {
  type?: string;
  code: string;
  title: string;
  status: number;
  detail: string;
  field?: string;
  retry_after?: number;
  servers?: string[];
}

export class Problem extends Error {
  readonly code: string;
  readonly status: number;
  readonly title: string;
  readonly detail: string;
  readonly field: string | undefined;
  readonly retryAfter: number | undefined;
  /** Of a server that takes no clients: those that do. */
  readonly servers: readonly string[];

  constructor(body: ProblemBody) {
    super(body.detail || body.title);
    this.name = 'Problem';
    this.code = body.code;
    this.status = body.status;
    this.title = body.title;
    this.detail = body.detail;
    this.field = body.field;
    this.retryAfter = body.retry_after;
    this.servers = body.servers ?? [];
  }

  /** No answer came at all, so nobody knows whether the server took the request. */
  static unreachable(): Problem {
    return new Problem({ code: 'unreachable', title: 'Unreachable', status: 0, detail: '' });
  }

  /** Neither did what was asked nor refuse it: the server was not reached, or something in between answered in its place. */
  get unanswered(): boolean {
    return this.status === 0 || (this.code === 'gateway' && this.status >= 502 && this.status <= 504);
  }

  /** True when it may have been done all the same. What the server refuses, it has not done; what it trips over, it may have. */
  get unknown(): boolean {
    if (this.status === 0) return true;
    return this.status >= 500 && !['unavailable', 'standby', 'storage-full'].includes(this.code);
  }

  /**
   * True when the same request may succeed later without being changed: only such a message is resent by itself.
   * Everything else needs a person to look at it.
   */
  get passing(): boolean {
    return this.status === 0 || this.status === 429 || (this.status >= 500 && this.code !== 'storage-full');
  }
}

/** Reads a problem from an answer that may come from a proxy in between and not from Holdfast. */
export async function problemFrom(response: Response): Promise<Problem> {
  // Only Holdfast itself says with a code what it has done.
  const strange = response.status >= 500 ? 'gateway' : 'internal';
  const retryAfter = Number(response.headers.get('Retry-After')) || undefined;
  try {
    const body = (await response.json()) as Partial<ProblemBody>;
    return new Problem({
      code: typeof body.code === 'string' ? body.code : strange,
      title: typeof body.title === 'string' ? body.title : response.statusText,
      status: response.status,
      detail: typeof body.detail === 'string' ? body.detail : '',
      ...(typeof body.field === 'string' ? { field: body.field } : {}),
      ...(Array.isArray(body.servers) ? { servers: body.servers.filter((one) => typeof one === 'string') } : {}),
      ...((body.retry_after ?? retryAfter) ? { retry_after: body.retry_after ?? retryAfter } : {}),
    });
  } catch {
    return new Problem({
      code: strange,
      title: response.statusText,
      status: response.status,
      detail: '',
      ...(retryAfter ? { retry_after: retryAfter } : {}),
    });
  }
}
