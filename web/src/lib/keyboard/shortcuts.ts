// The keyboard map: one table, from which both the handling and the page behind `?` are made.

import type { Key } from '../i18n';

export type Action =
  | 'map'
  | 'search'
  | 'jump'
  | 'room-before'
  | 'room-after'
  | 'unread-before'
  | 'unread-after'
  | 'compose'
  | 'timeline'
  | 'newest'
  | 'members';

export interface Shortcut {
  action: Action;
  key: string;
  ctrl?: boolean;
  alt?: boolean;
  shift?: boolean;
  /** Works while somebody is typing in a field. */
  inFields?: boolean;
  label: Key;
}

export const shortcuts: readonly Shortcut[] = [
  { action: 'jump', key: 'k', ctrl: true, inFields: true, label: 'keys.jump' },
  { action: 'search', key: '/', label: 'keys.search' },
  { action: 'room-before', key: 'ArrowUp', alt: true, inFields: true, label: 'keys.room_before' },
  { action: 'room-after', key: 'ArrowDown', alt: true, inFields: true, label: 'keys.room_after' },
  { action: 'unread-before', key: 'ArrowUp', alt: true, shift: true, inFields: true, label: 'keys.unread_before' },
  { action: 'unread-after', key: 'ArrowDown', alt: true, shift: true, inFields: true, label: 'keys.unread_after' },
  { action: 'compose', key: 'c', label: 'keys.compose' },
  { action: 'timeline', key: 't', label: 'keys.timeline' },
  { action: 'members', key: 'm', label: 'keys.members' },
  { action: 'newest', key: 'End', alt: true, inFields: true, label: 'keys.newest' },
  { action: 'map', key: '?', label: 'keys.map' },
];

export interface KeyPress {
  key: string;
  ctrlKey: boolean;
  metaKey: boolean;
  altKey: boolean;
  shiftKey: boolean;
  isComposing?: boolean;
}

export function actionFor(press: KeyPress, inField: boolean): Action | null {
  // Keys pressed while an input method builds a character belong to it.
  if (press.isComposing) return null;
  const found = shortcuts.find(
    (shortcut) =>
      shortcut.key.toLowerCase() === press.key.toLowerCase() &&
      Boolean(shortcut.ctrl) === (press.ctrlKey || press.metaKey) &&
      Boolean(shortcut.alt) === press.altKey &&
      // `?` and `/` need shift on some keyboards and not on others.
      (!/^[\p{L}\p{N}]$|^Arrow|^End$/u.test(shortcut.key) || Boolean(shortcut.shift) === press.shiftKey) &&
      (shortcut.inFields || !inField),
  );
  return found?.action ?? null;
}

/** The keys as they are printed on the map. */
export function keysOf(shortcut: Shortcut): string[] {
  const names: Record<string, string> = { ArrowUp: '↑', ArrowDown: '↓' };
  return [
    ...(shortcut.ctrl ? ['Ctrl'] : []),
    ...(shortcut.alt ? ['Alt'] : []),
    ...(shortcut.shift ? ['Shift'] : []),
    names[shortcut.key] ?? (shortcut.key.length === 1 ? shortcut.key.toUpperCase() : shortcut.key),
  ];
}

export function isField(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  return target.isContentEditable || target.matches('input, textarea, select');
}
