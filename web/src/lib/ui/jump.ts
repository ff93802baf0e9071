// Ranks what Ctrl+K offers. A name that begins with what was typed comes first, then a word in it, then any part, then
// the letters in their order.

export function rank(query: string, name: string): number {
  const wanted = fold(query.trim());
  if (wanted === '') return 1;
  const text = fold(name);
  if (text === wanted) return 100;
  if (text.startsWith(wanted)) return 80 - Math.min(20, text.length - wanted.length) / 10;
  const at = text.indexOf(wanted);
  if (at > 0) return /[\s\-_.#@/]/.test(text[at - 1]!) ? 60 : 40;
  let from = 0;
  let spread = 0;
  for (const letter of wanted) {
    const next = text.indexOf(letter, from);
    if (next < 0) return 0;
    spread += next - from;
    from = next + 1;
  }
  return Math.max(1, 20 - spread);
}

export function best<T>(query: string, items: readonly T[], nameOf: (item: T) => string, count: number): T[] {
  return items
    .map((item, index) => ({ item, index, rank: rank(query, nameOf(item)) }))
    .filter((scored) => scored.rank > 0)
    .sort((a, b) => b.rank - a.rank || a.index - b.index)
    .slice(0, count)
    .map((scored) => scored.item);
}

/** Letters without case and accents, so that "cafe" finds "Café". */
function fold(text: string): string {
  return text.normalize('NFD').replace(/\p{M}/gu, '').toLowerCase();
}
