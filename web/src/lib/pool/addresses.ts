// Addresses of a pool's servers, as this page can use them.

/** Where requests go: an origin such as `https://two.example.org`, or empty for the one that this page came from. */
export type Base = string;

/** Where the page is. */
export interface Here {
  origin: string;
  protocol: string;
}

/** No pool is larger; a longer list is not one of ours. */
const most = 8;

/** What a list names that this page can reach, each once. A page that came over TLS may not ask servers that have none. */
export function reachable(addresses: readonly unknown[], here: Here): Base[] {
  const bases: Base[] = [];
  for (const address of addresses) {
    const base = baseOf(address, here);
    if (base !== null && !bases.includes(base) && bases.length < most) bases.push(base);
  }
  return bases;
}

export function baseOf(address: unknown, here: Here): Base | null {
  if (typeof address !== 'string') return null;
  let url: URL;
  try {
    url = new URL(address);
  } catch {
    return null;
  }
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return null;
  if (here.protocol === 'https:' && url.protocol === 'http:' && url.origin !== here.origin) return null;
  return url.origin === here.origin ? '' : url.origin;
}

/** The address of the live connection. */
export function liveAddress(base: Base, here: Here): string {
  return `${(base || here.origin).replace(/^http/, 'ws')}/api/v1/live`;
}

/** In an order of its own for every client, so that those who lose a server together do not all go to the same one. */
export function shuffled<T>(list: readonly T[], random: () => number): T[] {
  const result = [...list];
  for (let i = result.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [result[i], result[j]] = [result[j]!, result[i]!];
  }
  return result;
}
