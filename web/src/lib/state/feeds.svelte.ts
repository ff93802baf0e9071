// Topic feeds: what the person has asked to be shown from all rooms, and how many new hits each has.

import { SvelteMap } from 'svelte/reactivity';
import { api, Problem, type Feed } from '../api';
import { said } from '../ui/said.svelte';
import { t } from '../i18n';

class Feeds {
  list = $state.raw<readonly Feed[]>([]);
  problem = $state<unknown>(null);
  #fresh = new SvelteMap<number, number>();

  async load(): Promise<void> {
    try {
      this.list = (await api.feeds()).items;
      this.problem = null;
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      this.problem = problem;
    }
  }

  fresh(feed: number): number {
    return this.#fresh.get(feed) ?? 0;
  }

  hit(id: number): void {
    this.#fresh.set(id, this.fresh(id) + 1);
    const feed = this.list.find((one) => one.id === id);
    if (feed?.notify) said.politely(t('feeds.hit', { name: feed.name }));
  }

  seen(feed: number): void {
    this.#fresh.delete(feed);
  }

  forget(): void {
    this.list = [];
    this.#fresh.clear();
  }
}

export const feeds = new Feeds();
