// Splits message text into plain text, links, mentions and room names. What comes out is drawn as text nodes and
// elements, never as markup, so nothing that somebody writes can become part of the page.

export type Segment =
  | { type: 'text'; text: string }
  | { type: 'link'; text: string; href: string; host: string; path: string | null }
  | { type: 'mention'; text: string; name: string }
  | { type: 'room'; text: string; room: number };

export interface Names {
  isMentioned(name: string): boolean;
  roomNamed(name: string): number | undefined;
  /** Where this page comes from, and the other servers of its pool: a link to a room there opens here. */
  origins: readonly string[];
}

const token =
  /(?<link>https?:\/\/[^\s<>"'`]+)|(?<![\w@])@(?<mention>[\p{L}\p{N}](?:[\p{L}\p{N}._-]*[\p{L}\p{N}])?)|(?<![\w#&/])#(?<room>[\p{L}\p{N}](?:[\p{L}\p{N}._-]*[\p{L}\p{N}])?)/giu;

export function segments(text: string, names: Names): Segment[] {
  const result: Segment[] = [];
  let from = 0;
  const plain = (to: number) => {
    if (to <= from) return;
    const last = result.at(-1);
    if (last?.type === 'text') last.text += text.slice(from, to);
    else result.push({ type: 'text', text: text.slice(from, to) });
  };

  for (const match of text.matchAll(token)) {
    const { link, mention, room } = match.groups ?? {};
    let segment: Segment | null = null;
    let length = match[0].length;
    if (link) {
      const trimmed = withoutTail(link);
      segment = linkSegment(trimmed, names.origins);
      length = trimmed.length;
    } else if (mention && names.isMentioned(mention)) {
      segment = { type: 'mention', text: match[0], name: mention };
    } else if (room) {
      const id = names.roomNamed(room);
      if (id !== undefined) segment = { type: 'room', text: match[0], room: id };
    }
    if (!segment) continue;
    plain(match.index);
    result.push(segment);
    from = match.index + length;
  }
  plain(text.length);
  return result;
}

/** Punctuation that ends a sentence is not part of the address; a closing bracket is, if it was opened inside. */
function withoutTail(link: string): string {
  let end = link.length;
  for (;;) {
    const last = link[end - 1]!;
    if (/[.,;:!?…*_~]/.test(last)) end -= 1;
    else if (last === ')' && !balanced(link.slice(0, end), '(', ')')) end -= 1;
    else if (last === ']' && !balanced(link.slice(0, end), '[', ']')) end -= 1;
    else return link.slice(0, end);
  }
}

function balanced(text: string, open: string, close: string): boolean {
  let depth = 0;
  for (const letter of text) {
    if (letter === open) depth += 1;
    if (letter === close) depth -= 1;
  }
  return depth >= 0;
}

function linkSegment(link: string, origins: readonly string[]): Segment | null {
  let address: URL;
  try {
    address = new URL(link);
  } catch {
    return null;
  }
  if (address.protocol !== 'http:' && address.protocol !== 'https:') return null;
  // A name and password in an address are mostly there to make a host look like another.
  if (address.username || address.password) return null;
  const here = origins.includes(address.origin) ? `${address.pathname}${address.search}` : null;
  return { type: 'link', text: link, href: address.href, host: address.host, path: here };
}
