// RFC 9457 problems: what the server says went wrong, and what an unreachable server amounts to.

export interface ProblemBody {
  type?: string;
  code: string;
  title: string;
  status: number;
  detail: string;
  field?: string;
  retry_after?: number;
}

export class Problem extends Error {
  readonly code: string;
  readonly status: number;
  readonly title: string;
  readonly detail: string;
  readonly field: string | undefined;
  readonly retryAfter: number | undefined;

  constructor(body: ProblemBody) {
    super(body.detail || body.title);
    this.name = 'Problem';
    this.code = body.code;
    this.status = body.status;
    this.title = body.title;
    this.detail = body.detail;
    this.field = body.field;
    this.retryAfter = body.retry_after;
  }

  /** No answer came at all, so nobody knows whether the server took the request. */
  static unreachable(): Problem {
    return new Problem({ code: 'unreachable', title: 'Unreachable', status: 0, detail: '' });
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
  const retryAfter = Number(response.headers.get('Retry-After')) || undefined;
  try {
    const body = (await response.json()) as Partial<ProblemBody>;
    return new Problem({
      code: typeof body.code === 'string' ? body.code : 'internal',
      title: typeof body.title === 'string' ? body.title : response.statusText,
      status: response.status,
      detail: typeof body.detail === 'string' ? body.detail : '',
      ...(typeof body.field === 'string' ? { field: body.field } : {}),
      ...((body.retry_after ?? retryAfter) ? { retry_after: body.retry_after ?? retryAfter } : {}),
    });
  } catch {
    return new Problem({
      code: response.status >= 500 ? 'unavailable' : 'internal',
      title: response.statusText,
      status: response.status,
      detail: '',
      ...(retryAfter ? { retry_after: retryAfter } : {}),
    });
  }
}
