import { t } from '../i18n';
import { dayOf, momentOf, timeOf } from '../i18n/format';
import type { CutNote } from '../timeline/rows';

/** What became of a room when the pool went on with another database. */
export function cutSentence(cut: CutNote): string {
  return `${t(cut.site ? 'cut.site' : 'cut.database')} ${what(cut)}`;
}

function what({ messages, since }: CutNote): string {
  if (messages === null) return t('cut.unknown');
  if (messages === 0) return t('cut.changes');
  if (since === null) return t('cut.all', { n: messages });
  const time = dayOf(since) === dayOf(Date.now()) ? timeOf(since) : momentOf(since);
  return t('cut.messages', { n: messages, time });
}
