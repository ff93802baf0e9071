// The files that are to go with a message being written: those that the server has, and those on their way to it.

import { api, type FileInfo } from '../api';
import type { Upload } from '../api/http';
import { t } from '../i18n';
import { bytesOf } from '../i18n/format';
import { freshId } from '../text/ids';
import { said } from '../ui/said.svelte';
import { sentence } from '../ui/sentence';
import { session } from './session.svelte';

export interface Sending {
  readonly key: string;
  readonly file: File;
  /** How much of it has gone out, from 0 to 1. */
  readonly share: number;
  /** Why it did not get there, in a sentence. */
  readonly problem: string | null;
  readonly upload: Upload<FileInfo> | null;
}

export class Attachments {
  files = $state.raw<readonly FileInfo[]>([]);
  sending = $state.raw<readonly Sending[]>([]);
  underWay = $derived(this.sending.some((one) => one.problem === null));
  #room: number;

  constructor(room: number, files: readonly FileInfo[]) {
    this.#room = room;
    this.files = files;
  }

  add(list: Iterable<File>): void {
    for (const file of list) {
      const { limits } = session;
      if (this.files.length + this.sending.length >= limits.files_per_message) {
        said.fault(t('compose.too_many_files', { n: limits.files_per_message }));
      } else if (file.size > limits.file_bytes) {
        said.fault(t('compose.file_too_large', { name: file.name, most: bytesOf(limits.file_bytes) }));
      } else {
        const key = freshId();
        this.sending = [...this.sending, { key, file, share: 0, problem: null, upload: null }];
        void this.#send(key, file);
      }
    }
  }

  again(key: string): void {
    const one = this.sending.find((other) => other.key === key);
    if (one?.problem) void this.#send(key, one.file);
  }

  detach(id: string): void {
    this.files = this.files.filter((file) => file.id !== id);
  }

  cancel(key: string): void {
    const one = this.sending.find((other) => other.key === key);
    this.sending = this.sending.filter((other) => other.key !== key);
    one?.upload?.cancel();
  }

  /** Nobody will see these uploads through any more. */
  stop(): void {
    for (const one of this.sending) one.upload?.cancel();
  }

  async #send(key: string, file: File): Promise<void> {
    const upload = api.upload(this.#room, file, (share) => this.#change(key, { share }));
    this.#change(key, { share: 0, problem: null, upload });
    try {
      const info = await upload.done;
      // Taken away in the last moment.
      if (!this.sending.some((one) => one.key === key)) return;
      this.sending = this.sending.filter((one) => one.key !== key);
      this.files = [...this.files, info];
      said.politely(t('compose.attached', { name: info.name }));
    } catch (problem) {
      this.#change(key, { problem: sentence(problem), upload: null });
    }
  }

  #change(key: string, part: Partial<Sending>): void {
    this.sending = this.sending.map((one) => (one.key === key ? { ...one, ...part } : one));
  }
}
