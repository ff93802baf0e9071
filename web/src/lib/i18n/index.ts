import type { Language } from '../api/types';
import { de } from './de';
import { en } from './en';
import { fill, type Values } from './fill';
import { chosen } from './language.svelte';

export type Key = keyof typeof en;

const catalogues: Record<Language, Record<Key, string>> = { en, de };

/** The text for a key in the reader's language. */
export function t(key: Key, values?: Values): string {
  return fill(catalogues[chosen.language][key], values);
}

export { chosen } from './language.svelte';
