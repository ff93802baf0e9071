// How long to wait before the next attempt to connect.

/** Full jitter over a doubling bound: after a restart the clients of a whole house must not come back in step. */
export function backoff(attempt: number, random: () => number): number {
  const bound = Math.min(30_000, 500 * 2 ** Math.min(attempt, 10));
  return Math.round(200 + random() * bound);
}
