import { describe, expect, it, vi } from 'vitest';
import { number, seconds } from '../../src/report/figures.js';
import { loadParts, trafficParts } from '../../src/report/meter.js';
import { Progress } from '../../src/report/progress.js';
import { fittingLine, plainLine } from '../../src/report/status-line.js';

const FIGURES = {
  phase: null,
  operationsPerSecond: 12_345,
  eventsPerSecond: 30_000,
  operations: 5000,
  total: 20_000,
  errors: 0,
  p99Seconds: 0.0042,
  lagSeconds: null,
  lagTarget: null,
  bytesBehind: null,
  keptBytes: null,
  elapsedSeconds: 10,
  remainingSeconds: 30,
};

describe('progress', () => {
  it('says what matters first and how long it will take', () => {
    expect(plainLine(trafficParts(FIGURES))).toBe(
      '12,345 op/s · 30,000 ev/s · p99 4.20 ms · errors 0 · 25 % · 10.0 s · 30.0 s left',
    );
    const endless = {
      ...FIGURES,
      total: -1,
      remainingSeconds: null,
      lagSeconds: 0.0008,
      lagTarget: 'standby',
      phase: 'warm-up',
    };
    expect(plainLine(trafficParts(endless))).toBe(
      'warm-up · 12,345 op/s · 30,000 ev/s · p99 4.20 ms · errors 0 · lag of standby 0.80 ms · 5,000 done · 10.0 s',
    );
  });

  it('leaves out what matters least where a terminal is narrow, and fills what is left with a bar', () => {
    const reading = trafficParts({ ...FIGURES, lagSeconds: 75, lagTarget: 'dr', errors: 7 });
    const at = (columns: number) => fittingLine(reading, columns);
    expect(at(65)).toBe('12,345 op/s · p99 4.20 ms · errors 7 · lag of dr 00:01:15');
    expect(at(30)).toBe('12,345 op/s · errors 7');
    expect(at(126)).toBe(
      '12,345 op/s · 30,000 ev/s · p99 4.20 ms · errors 7 · lag of dr 00:01:15 · 25 % · 10.0 s · 30.0 s left ██████░░░░░░░░░░░░░░░░░░',
    );
    for (let columns = 1; columns < 140; columns++) expect(at(columns).length).toBeLessThanOrEqual(columns);
    expect(fittingLine({ ...reading, share: null }, 140)).not.toContain('░');
  });

  it('says how far a load is and how long it will take', () => {
    const figures = { rowsPerSecond: 100_000, rows: 250_000, total: 1_000_000, errors: 3, elapsedSeconds: 2.5 };
    expect(plainLine(loadParts(figures))).toBe(
      '100,000 rows/s · 25 % · 250,000 rows · rejected 3 · 2.5 s · 7.5 s left',
    );
    expect(plainLine(loadParts({ ...figures, rowsPerSecond: 0 }))).not.toContain('left');
  });

  it('rewrites one line on a terminal, keeps it below messages, and leaves nothing behind', () => {
    vi.useFakeTimers();
    const texts: string[] = [];
    const output = { isTTY: true, columns: 40, hasColors: () => true, write: (text: string) => texts.push(text) };
    const progress = new Progress(output, { json: false, quiet: false });
    progress.step('reading the schema');
    vi.advanceTimersByTime(1000);
    expect(texts[0]).toContain('\rreading the schema · ');
    expect(texts[0]).toMatch(/ s.\[K$/);
    progress.message('warn', 'careful');
    expect(texts.slice(-3)).toEqual(['\r\u001b[K', '\u001b[33mwarning:\u001b[0m careful\n', texts[1]]);
    progress.stop();
    expect(texts[texts.length - 1]).toBe('\r\u001b[K');
    const count = texts.length;
    vi.advanceTimersByTime(5000);
    expect(texts).toHaveLength(count);
    vi.useRealTimers();
  });

  it('survives a terminal of no columns', () => {
    vi.useFakeTimers();
    const texts: string[] = [];
    const output = { isTTY: true, columns: 0, write: (text: string) => texts.push(text) };
    const progress = new Progress(output, { json: false, quiet: false });
    progress.step('reading the schema');
    vi.advanceTimersByTime(3000);
    progress.stop();
    expect(texts).toEqual([]);
    vi.useRealTimers();
  });

  it('writes no escape codes into a pipe, and JSON where asked', () => {
    const texts: string[] = [];
    const output = { write: (text: string) => texts.push(text) };
    new Progress(output, { json: false, quiet: false }).message('warn', 'careful');
    new Progress(output, { json: true, quiet: false }).message('info', 'hello');
    new Progress(output, { json: false, quiet: false, isLog: true }).message('warn', 'in a log');
    new Progress(output, { json: false, quiet: true }).message('info', 'not shown');
    expect(texts[0]).toBe('warning: careful\n');
    expect(JSON.parse(texts[1]!)).toMatchObject({ level: 'info', message: 'hello' });
    expect(texts[2]).toMatch(/^\d\d:\d\d:\d\d warning: in a log\n$/);
    expect(texts).toHaveLength(3);
  });

  it('writes figures for people', () => {
    expect(number(1234567.5)).toBe('1,234,567.5');
    expect(seconds(3725)).toBe('01:02:05');
  });
});
