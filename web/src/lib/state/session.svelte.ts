// Who is signed in, and what the server is.

import { api, onSignedOut, Problem, type Me, type Preferences, type ServerInfo } from '../api';
import { chosen } from '../i18n';
import { backoff } from '../live/backoff';
import { load, save } from '../ui/storage';
import { outbox } from './outbox.svelte';
import { pool } from './pool.svelte';

type Phase = 'loading' | 'unreachable' | 'first-user' | 'signed-out' | 'signed-in';

class Session {
  phase = $state<Phase>('loading');
  server = $state<ServerInfo | null>(null);
  /** True when the sign-in page is shown because a session ended, and not because somebody just came. */
  ended = $state(false);
  #me = $state<Me | null>(null);
  #attempt = 0;
  #again: ReturnType<typeof setTimeout> | undefined;

  constructor() {
    onSignedOut(() => this.lost());
    this.apply(load<Preferences>('preferences'));
  }

  /** The signed-in person. Pages behind the sign-in may rely on it. */
  get me(): Me {
    if (!this.#me) throw new Error('nobody is signed in');
    return this.#me;
  }

  get signedIn(): boolean {
    return this.#me !== null;
  }

  get limits() {
    return this.server!.limits;
  }

  async start(): Promise<void> {
    clearTimeout(this.#again);
    if (this.phase !== 'unreachable') this.phase = 'loading';
    try {
      this.server = await api.server();
      pool.heard(this.server);
      if (this.server.needs_first_user) {
        this.phase = 'first-user';
        return;
      }
      this.enter(await api.me());
    } catch (problem) {
      if (problem instanceof Problem && problem.status === 401) this.phase = 'signed-out';
      else {
        this.phase = 'unreachable';
        this.#again = setTimeout(() => void this.start(), 1000 + backoff(this.#attempt++, Math.random));
      }
    }
  }

  enter(me: Me): void {
    this.#me = me;
    this.ended = false;
    this.apply(me.preferences);
    this.phase = 'signed-in';
  }

  async leave(): Promise<void> {
    const { id } = this.me;
    await api.signOut();
    outbox.wipe(id);
    this.#gone(false);
  }

  /** The server no longer knows the session. */
  lost(): void {
    if (this.phase === 'signed-in') this.#gone(true);
  }

  changed(me: Me): void {
    this.#me = me;
  }

  async setPreferences(change: Partial<Preferences>): Promise<void> {
    const before = this.me.preferences;
    const preferences = { ...before, ...change };
    this.#me = { ...this.me, preferences };
    this.apply(preferences);
    try {
      await api.putPreferences(preferences);
    } catch (problem) {
      this.#me = { ...this.me, preferences: before };
      this.apply(before);
      throw problem;
    }
  }

  /** Theme, density and language; kept in the browser too, so that the sign-in page already has them. */
  apply(preferences: Preferences | null): void {
    chosen.choose(preferences?.language ?? null);
    if (typeof document === 'undefined') return;
    const { dataset } = document.documentElement;
    const theme = preferences?.theme ?? 'system';
    if (theme === 'system') delete dataset.theme;
    else dataset.theme = theme;
    dataset.density = preferences?.density ?? 'comfortable';
    if (preferences) {
      save('preferences', { language: preferences.language, theme: preferences.theme, density: preferences.density });
    }
  }

  #gone(ended: boolean): void {
    this.#me = null;
    this.ended = ended;
    this.phase = 'signed-out';
  }
}

export const session = new Session();
