import { describe, expect, it } from 'vitest';
import { loadLine, progressLine } from '../../src/report/meter.js';
import { Progress } from '../../src/report/progress.js';
import { number, seconds } from '../../src/report/text.js';

const FIGURES = {
  operationsPerSecond: 12_345,
  eventsPerSecond: 30_000,
  operations: 5000,
  total: 20_000,
  errors: 0,
  p99Seconds: 0.0042,
  elapsedSeconds: 10,
};

describe('progress', () => {
  it('says what matters first and how long it will take', () => {
    expect(progressLine(FIGURES)).toBe(
      '12,345 op/s · 30,000 ev/s · errors 0 · p99 4.20 ms · 25 % · 10.0 s · 30.0 s left',
    );
    expect(progressLine({ ...FIGURES, total: -1 })).toBe(
      '12,345 op/s · 30,000 ev/s · errors 0 · p99 4.20 ms · 5,000 done · 10.0 s',
    );
  });

  it('says how far a load is and how long it will take', () => {
    const figures = { rowsPerSecond: 100_000, rows: 250_000, total: 1_000_000, errors: 3, elapsedSeconds: 2.5 };
    expect(loadLine(figures)).toBe('100,000 rows/s · 25 % · 250,000 rows · refused 3 · 2.5 s · 7.5 s left');
    expect(loadLine({ ...figures, rowsPerSecond: 0 })).not.toContain('left');
  });

  it('writes no escape codes into a pipe, and JSON where asked', () => {
    const texts: string[] = [];
    const output = { write: (text: string) => texts.push(text) };
    new Progress(output, { json: false, quiet: false }).message('warn', 'careful');
    new Progress(output, { json: true, quiet: false }).message('info', 'hello');
    new Progress(output, { json: false, quiet: true }).message('info', 'not shown');
    expect(texts[0]).toBe('warning: careful\n');
    expect(JSON.parse(texts[1]!)).toMatchObject({ level: 'info', message: 'hello' });
    expect(texts).toHaveLength(2);
  });

  it('writes figures for people', () => {
    expect(number(1234567.5)).toBe('1,234,567.5');
    expect(seconds(3725)).toBe('01:02:05');
  });
});
