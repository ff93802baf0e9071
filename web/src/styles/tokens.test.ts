import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const css = readFileSync(new URL('./tokens.css', import.meta.url), 'utf8');

type Theme = 'light' | 'dark';

function colour(token: string, theme: Theme): string {
  const found = new RegExp(`--${token}: light-dark\\((#[0-9a-f]{6}), (#[0-9a-f]{6})\\)`).exec(css);
  if (!found) throw new Error(`no token --${token}`);
  return found[theme === 'light' ? 1 : 2]!;
}

/** WCAG 2.2: relative luminance and contrast ratio. */
function luminance(hex: string): number {
  const [r, g, b] = [1, 3, 5]
    .map((at) => Number.parseInt(hex.slice(at, at + 2), 16) / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!;
}

function contrast(one: string, other: string): number {
  const [light, dark] = [luminance(one), luminance(other)].sort((a, b) => b - a);
  return (light! + 0.05) / (dark! + 0.05);
}

const surfaces = ['surface', 'sunken', 'raised', 'hover', 'selected', 'accent-soft', 'alert-soft', 'warn-soft'];
const faces = ['face-1', 'face-2', 'face-3', 'face-4', 'face-5', 'face-6'];

const text: [string, string][] = [
  ...surfaces.flatMap((surface): [string, string][] => [
    ['text', surface],
    ['muted', surface],
  ]),
  ...['surface', 'sunken', 'raised', 'hover', 'selected', 'accent-soft', 'alert-soft', 'warn-soft'].map(
    (surface): [string, string] => ['accent', surface],
  ),
  ...['surface', 'sunken', 'raised', 'hover', 'selected', 'alert-soft'].map((s): [string, string] => ['alert', s]),
  ...['surface', 'sunken', 'raised', 'hover'].map((s): [string, string] => ['ok', s]),
  ...['surface', 'sunken', 'raised', 'hover', 'warn-soft'].map((s): [string, string] => ['warn', s]),
  ...faces.map((face): [string, string] => ['text', face]),
  ['on-accent', 'accent'],
  ['on-alert', 'alert'],
  ['text', 'mark'],
];

const shapes: [string, string][] = [
  ...['surface', 'sunken', 'raised'].map((s): [string, string] => ['edge', s]),
  ...['surface', 'sunken', 'raised', 'hover', 'selected'].map((s): [string, string] => ['accent', s]),
];

describe.each<Theme>(['light', 'dark'])('%s', (theme) => {
  it.each(text)('%s can be read on %s', (front, back) => {
    expect(contrast(colour(front, theme), colour(back, theme))).toBeGreaterThanOrEqual(4.5);
  });
  it.each(shapes)('%s can be seen on %s', (front, back) => {
    expect(contrast(colour(front, theme), colour(back, theme))).toBeGreaterThanOrEqual(3);
  });
});

it('no component names a colour of its own', () => {
  const files = import.meta.glob('../**/*.{svelte,css}', { query: '?raw', import: 'default', eager: true });
  for (const [name, source] of Object.entries(files)) {
    if (name.endsWith('tokens.css')) continue;
    const style = name.endsWith('.css')
      ? String(source)
      : (/<style[^>]*>([\s\S]*)<\/style>/.exec(String(source))?.[1] ?? '');
    expect(style.match(/#[0-9a-f]{3,8}\b|\b(?:rgb|hsl|oklch)a?\(/gi) ?? [], name).toEqual([]);
  }
});
