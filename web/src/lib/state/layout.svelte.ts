// What of the page is open: the panel on the right, the dialogs, and how wide the window is.

import type { Principal } from '../api';

export type Panel = 'details' | 'members' | 'files' | 'search';
export type Overlay =
  | { name: 'keys' }
  | { name: 'jump' }
  | { name: 'new-room'; category: number | null }
  | { name: 'new-category' }
  | { name: 'new-user' };

class Layout {
  panel = $state<Panel | null>(null);
  overlay = $state<Overlay | null>(null);
  width = $state(typeof innerWidth === 'number' ? innerWidth : 1440);
  /** What to begin a search with, from the jump box. */
  searchFor = $state.raw<{ words: string; author: Principal | null } | null>(null);
  /** Grows when the search field should take the focus again although the panel is already open. */
  searchAsked = $state(0);
  #from: HTMLElement | null = null;

  phone = $derived(this.width < 900);
  wide = $derived(this.width >= 1280);

  start(): () => void {
    const measure = () => (this.width = innerWidth);
    addEventListener('resize', measure);
    return () => removeEventListener('resize', measure);
  }

  toggle(panel: Panel): void {
    if (this.panel === panel) this.closePanel();
    else this.openPanel(panel);
  }

  openPanel(panel: Panel): void {
    if (!this.panel) this.#from = document.activeElement as HTMLElement | null;
    this.panel = panel;
  }

  search(words = '', author: Principal | null = null): void {
    if (words || author) this.searchFor = { words, author };
    this.openPanel('search');
    this.searchAsked += 1;
  }

  /** What somebody has said, wherever one may read it. */
  searchBy(author: Principal): void {
    this.search('', author);
  }

  /** Closes the panel and gives the focus back to where it came from. */
  closePanel(): void {
    const inside = document.activeElement?.closest('aside') !== null;
    this.panel = null;
    if (inside) {
      if (this.#from?.isConnected) this.#from.focus();
      else document.getElementById('composer')?.focus();
    }
    this.#from = null;
  }

  open(overlay: Overlay): void {
    this.overlay = overlay;
  }

  close(): void {
    this.overlay = null;
  }
}

export const layout = new Layout();
