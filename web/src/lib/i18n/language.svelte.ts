import type { Language } from '../api/types';

class Chosen {
  language = $state<Language>('en');

  /** Null means: as the browser says. */
  choose(language: Language | null): void {
    this.language = language ?? browsers();
    if (typeof document !== 'undefined') document.documentElement.lang = this.language;
  }

  /** For dates and numbers: the reader's own variety of the language, where the browser tells it. */
  locale = $derived.by(() => {
    const wanted = typeof navigator === 'undefined' ? [] : navigator.languages;
    const variety = wanted.find((tag) => tag.toLowerCase().startsWith(this.language) && tag.length > 2);
    return variety ?? (this.language === 'de' ? 'de-DE' : 'en-GB');
  });
}

function browsers(): Language {
  for (const tag of typeof navigator === 'undefined' ? [] : navigator.languages) {
    const language = tag.slice(0, 2).toLowerCase();
    if (language === 'de' || language === 'en') return language;
  }
  return 'en';
}

export const chosen = new Chosen();
