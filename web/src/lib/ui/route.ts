// The addresses of the pages, in both directions.

export type Route =
  | { page: 'home' }
  | { page: 'room'; room: number; at: number | null }
  | { page: 'manage'; room: number }
  | { page: 'directory' }
  | { page: 'mentions' }
  | { page: 'feed'; feed: number }
  | { page: 'feeds' }
  | { page: 'invitations' }
  | { page: 'settings'; section: SettingsSection }
  | { page: 'admin'; section: AdminSection }
  | { page: 'start' }
  | { page: 'unknown' };

export const settingsSections = ['profile', 'notifications', 'followed', 'sessions', 'tokens'] as const;
export type SettingsSection = (typeof settingsSections)[number];

export const adminSections = ['categories', 'users', 'groups', 'pool', 'audit'] as const;
export type AdminSection = (typeof adminSections)[number];

export function routeOf(path: string, query = ''): Route {
  const parts = path.split('/').filter(Boolean);
  const [first, second, third] = parts;
  const number = Number(second);
  const isId = second !== undefined && /^\d+$/.test(second) && Number.isSafeInteger(number);
  if (parts.length === 0) return { page: 'home' };
  switch (first) {
    case 'rooms': {
      if (!isId) break;
      if (third === 'manage') return { page: 'manage', room: number };
      const at = new URLSearchParams(query).get('at');
      if (parts.length === 2) return { page: 'room', room: number, at: at && /^\d+$/.test(at) ? Number(at) : null };
      break;
    }
    case 'feeds':
      if (parts.length === 1) return { page: 'feeds' };
      if (isId && parts.length === 2) return { page: 'feed', feed: number };
      break;
    case 'settings': {
      const section = settingsSections.find((name) => name === (second ?? 'profile'));
      if (section) return { page: 'settings', section };
      break;
    }
    case 'admin': {
      const section = adminSections.find((name) => name === (second ?? 'categories'));
      if (section) return { page: 'admin', section };
      break;
    }
    case 'directory':
    case 'mentions':
    case 'invitations':
    case 'start':
      if (parts.length === 1) return { page: first };
      break;
    default:
  }
  return { page: 'unknown' };
}

export function roomPath(room: number, at?: number | null): string {
  return at ? `/rooms/${room}?at=${at}` : `/rooms/${room}`;
}
