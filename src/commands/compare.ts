import { SetupError } from '../config/problem.js';
import { publicJson } from '../config/secrets.js';
import { type ComparedFigure, type Comparison, compareSummaries, type Tolerances } from '../report/comparison.js';
import { ms, number, table } from '../report/figures.js';
import { Progress } from '../report/progress.js';
import { shown } from '../report/shown.js';
import type { Summary } from '../report/summary.js';
import { EXIT } from './exit.js';
import { readSummary } from './summary-file.js';

export interface CompareOptions {
  /** The baseline, and the run to compare with it. */
  readonly files: readonly [string, string];
  readonly tolerances: Tolerances;
  readonly json: boolean;
}

/** Shows two runs side by side. Returns the exit code: 4 if the second is worse by more than the tolerances. */
export function compare({ files, tolerances, json }: CompareOptions): number {
  try {
    const [a, b] = files.map(readSummary) as [Summary, Summary];
    const comparison = compareSummaries(a, b, tolerances);
    process.stdout.write(
      json ? `${publicJson({ schema_version: 1, ...comparison }, 2)}\n` : shown(comparisonText(comparison, files)),
    );
    return comparison.passed ? EXIT.finished : EXIT.threshold;
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    new Progress(process.stderr, { json: false, quiet: false }).message('error', error.message);
    return EXIT.setup;
  }
}

function comparisonText(
  { figures, differences, ending, passed }: Comparison,
  [a, b]: readonly [string, string],
): string {
  const measured = figures.filter(({ a: before, b: after }) => before !== null || after !== null);
  const worse = measured.filter(({ regressed }) => regressed);
  const verdict = passed
    ? 'No regression.'
    : `Regression: ${[...worse.map(({ name }) => name), ...(ending === null ? [] : [ending])].join(', ')}.`;
  const lines = [
    verdict,
    '',
    ...table(
      [
        ['', '', a, b, 'change'],
        ...measured.map(
          (figure) => [
            figure.regressed ? '✗' : '✓',
            figure.name,
            valueText(figure.a, figure.unit),
            valueText(figure.b, figure.unit),
            figure.change === null ? '-' : `${figure.change > 0 ? '+' : ''}${(figure.change * 100).toFixed(1)} %`,
          ],
          2,
        ),
      ],
      2,
    ),
  ];
  if (differences.length > 0)
    lines.push(
      '',
      'The runs differ in',
      ...table([['', '', a, b], ...differences.map((each) => ['', each.name, each.a, each.b])], 2),
    );
  return `${lines.join('\n')}\n`;
}

function valueText(value: number | null, unit: ComparedFigure['unit']): string {
  if (value === null) return '-';
  switch (unit) {
    case 'per second':
      return `${number(Math.round(value))}/s`;
    case 'seconds':
      return ms(value);
    case 'share':
      return `${(value * 100).toFixed(2)} %`;
    case 'microseconds':
      return `${value.toFixed(1)} µs`;
  }
}
