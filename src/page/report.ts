import type { PageData } from './data.js';
import { pageHtml } from './shell.js';

/** A report: one file that holds everything. */
export function reportHtml(data: Omit<PageData, 'kind'>): string {
  return pageHtml({ kind: 'report', ...data });
}
