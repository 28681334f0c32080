import type { Verdict, VerdictDifference } from '../proof/verdict.js';
import { number, table } from './figures.js';

const MOST_DIFFERENCES = 20;
const MOST_NOTES = 10;
const MOST_VALUE = 60;

/** A verdict for people: the answer, a line per table, the first differences. */
export function verdictText(verdict: Verdict, isFull: boolean): string {
  const lines = [verdict.headline];
  const figures = figuresOf(verdict);
  const tables = Object.entries(verdict.tables);
  if (tables.length > 0 && figures.length > 0)
    lines.push(
      '',
      ...table([
        ['table', ...figures.map(words)],
        ...tables.map(([name, counts]) => [name, ...figures.map((each) => number(counts[each] ?? 0))]),
      ]),
    );
  const listed = isFull ? verdict.differences : verdict.differences.slice(0, MOST_DIFFERENCES);
  if (listed.length > 0) lines.push('', ...listed.flatMap(differenceLines));
  const more = verdict.difference_count - listed.length;
  if (more > 0) lines.push(`  … ${number(more)} more${isFull ? '' : ', with --full or --json'}`);
  lines.push(
    ...listOf('Not decided:', verdict.verdict === 'undecided' ? [] : verdict.undecided, isFull),
    ...listOf('Not compared:', verdict.not_compared, isFull),
    ...listOf('', verdict.notes, isFull),
  );
  return `${lines.join('\n')}\n`;
}

/** Figures that are not 0 everywhere, in their order; what there is on both sides always. */
function figuresOf({ tables }: Verdict): string[] {
  const all = Object.values(tables);
  const names = [...new Set(all.flatMap((counts) => Object.keys(counts)))];
  return names.filter(
    (name) => name === 'source' || name === 'target' || all.some((counts) => (counts[name] ?? 0) > 0),
  );
}

function words(name: string): string {
  return name.replaceAll('_', ' ');
}

function differenceLines(difference: VerdictDifference): string[] {
  const { class: found, table: name, key, op, origin, source_position: source, target_position: target } = difference;
  const where = [
    ...(source === null || source === 0 ? [] : [`change ${number(source)} of the source`]),
    ...(target === null || target === 0 ? [] : [`line ${number(target)} of the consumer`]),
    ...(origin === null ? [] : [`made by lane:operation ${origin} (run --explain ${origin} shows it)`]),
  ];
  const what = [name, key === null ? '' : cut(key, 2 * MOST_VALUE), op ?? ''].filter((part) => part !== '').join(' ');
  return [
    `  ${words(found)}: ${what}${where.length === 0 ? '' : `; ${where.join(', ')}`}`,
    ...difference.columns.map(
      (column) =>
        `      ${column.column}: ${valueText(column.source)} became ${valueText(column.target)} (${column.class})`,
    ),
  ];
}

function valueText(value: string | null): string {
  return value === null ? 'NULL' : cut(JSON.stringify(value), MOST_VALUE);
}

function cut(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`;
}

function listOf(title: string, texts: readonly string[], isFull: boolean): string[] {
  if (texts.length === 0) return [];
  const listed = isFull ? texts : texts.slice(0, MOST_NOTES);
  const more = texts.length - listed.length;
  return [
    '',
    ...(title === '' ? [] : [title]),
    ...listed.map((text) => `  ${text}`),
    ...(more > 0 ? [`  … ${more} more`] : []),
  ];
}

/** A verdict as one HTML file that needs nothing else. */
export function verdictHtml(verdict: Verdict, version: string): string {
  const figures = figuresOf(verdict);
  const head = ['table', ...figures.map(words)].map((cell) => `<th>${escaped(cell)}</th>`).join('');
  const rows = Object.entries(verdict.tables)
    .map(
      ([name, counts]) =>
        `<tr><td>${escaped(name)}</td>${figures.map((each) => `<td class="n">${number(counts[each] ?? 0)}</td>`).join('')}</tr>`,
    )
    .join('\n');
  const differences = verdict.differences
    .map((difference) => `<li><pre>${escaped(differenceLines(difference).join('\n'))}</pre></li>`)
    .join('\n');
  const notes = [...verdict.undecided, ...verdict.not_compared.map((each) => `Not compared: ${each}`), ...verdict.notes]
    .map((note) => `<li>${escaped(note)}</li>`)
    .join('\n');
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${escaped(verdict.headline)}</title>
<style>
:root { color-scheme: light dark; } body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; }
h1 { font-size: 1.4rem; } .equal h1 { color: #16803c; } .different h1 { color: #c02626; } .undecided h1 { color: #a16207; }
table { border-collapse: collapse; } th, td { padding: .25rem .75rem; border-bottom: 1px solid #8884; text-align: left; } .n { text-align: right; font-variant-numeric: tabular-nums; }
pre { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; } li { margin: .25rem 0; }
</style></head><body class="${verdict.verdict}">
<h1>${escaped(verdict.headline)}</h1>
<table><thead><tr>${head}</tr></thead><tbody>
${rows}
</tbody></table>
${verdict.difference_count === 0 ? '' : `<h2>Differences: ${number(verdict.difference_count)}</h2><ul>\n${differences}\n</ul>`}
${notes === '' ? '' : `<h2>Notes</h2><ul>\n${notes}\n</ul>`}
<p>event-generator ${escaped(version)}</p>
</body></html>
`;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
