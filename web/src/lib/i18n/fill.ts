export type Values = Record<string, string | number>;

/**
 * Puts values into a text of the catalogue. `{name}` is replaced; where a text has two forms, divided by ` | `, the
 * first is for exactly one `n`. English and German need no more than that.
 */
export function fill(text: string, values: Values = {}): string {
  const forms = text.split(' | ');
  const form = forms.length > 1 && values.n !== 1 ? forms[1]! : forms[0]!;
  return form.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}
