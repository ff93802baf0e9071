// What is said aloud to screen readers, and what is shown for a moment at the edge: one place for both.

class Said {
  polite = $state('');
  assertive = $state('');
  notices = $state<{ id: number; text: string; kind: 'done' | 'fault' }[]>([]);
  #next = 1;

  /** New messages and the like: read out when the reader pauses. */
  politely(text: string): void {
    this.polite = this.polite === text ? `${text}\u00a0` : text;
  }

  /** Alert messages: read out at once. */
  atOnce(text: string): void {
    this.assertive = this.assertive === text ? `${text}\u00a0` : text;
  }

  /** Something that was asked for has been done, and cannot be seen otherwise. */
  done(text: string): void {
    this.#show(text, 'done');
    this.politely(text);
  }

  fault(text: string): void {
    this.#show(text, 'fault');
    this.atOnce(text);
  }

  dismiss(id: number): void {
    this.notices = this.notices.filter((notice) => notice.id !== id);
  }

  #show(text: string, kind: 'done' | 'fault'): void {
    const id = this.#next++;
    this.notices = [...this.notices.slice(-2), { id, text, kind }];
    // A fault stays until somebody has read it and closed it.
    if (kind === 'done') setTimeout(() => this.dismiss(id), 6000);
  }
}

export const said = new Said();
