// Browser storage may be full, switched off or unreadable; nothing that the client keeps there may stop it.

export function load<T>(key: string, area: 'local' | 'session' = 'local'): T | null {
  try {
    const text = (area === 'local' ? localStorage : sessionStorage).getItem(`holdfast.${key}`);
    return text === null ? null : (JSON.parse(text) as T);
  } catch {
    return null;
  }
}

export function save(key: string, value: unknown, area: 'local' | 'session' = 'local'): void {
  try {
    const storage = area === 'local' ? localStorage : sessionStorage;
    if (value === null || value === undefined) storage.removeItem(`holdfast.${key}`);
    else storage.setItem(`holdfast.${key}`, JSON.stringify(value));
  } catch {
    // Nothing is lost but a convenience.
  }
}
