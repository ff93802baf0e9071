import { Problem } from '../api';
import { t } from '../i18n';

/** A problem as a sentence for people: the server's own where it gave one. */
export function sentence(problem: unknown): string {
  if (!(problem instanceof Problem)) return t('problem.unexpected', { what: String(problem) });
  if (problem.status === 0) return t('problem.unreachable');
  if (problem.detail) return problem.detail;
  if (problem.status === 429) return t('problem.too_many', { n: problem.retryAfter ?? 30 });
  if (problem.status === 503 || problem.status === 502 || problem.status === 504) return t('problem.unavailable');
  return t('problem.unexpected', { what: problem.title || problem.code });
}
