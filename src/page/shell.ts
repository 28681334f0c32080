import { readFileSync } from 'node:fs';
import { publicJson } from '../config/secrets.js';
import { packageFile } from '../package.js';
import type { PageData } from './data.js';

/** The built page: one file with its script and style in it. */
const FILE = packageFile('dist/page/page.html');

const DATA = '<script type="application/json" id="data"></script>';

/** The page as HTML; with data it needs nobody to ask. */
export function pageHtml(data: PageData | null): string {
  const html = readFileSync(FILE, 'utf8');
  if (data === null) return html;
  // A text of the data could end the script that holds it.
  const json = publicJson(data).replaceAll('<', '\\u003c');
  return html.replace(DATA, () => DATA.replace('></', () => `>${json}</`));
}
