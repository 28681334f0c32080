import type { FileConfig } from '../config/schema.js';
import { number } from '../report/figures.js';
import type { PauseRecord, RateChange } from '../report/summary.js';

/** A part of a run that charts mark, in seconds since the start of the run. */
export interface Mark {
  readonly kind: 'stage' | 'spike' | 'pause';
  readonly from: number;
  readonly to: number;
  readonly label: string;
}

/* Of a spike that comes again and again, the latest ones are shown. */
const MOST_SPIKES = 200;

/**
 * Returns the stages, spikes, pauses and changes by the control file of a run up to a moment. `offset`: when the traffic began; `until`: the moment,
 * both in seconds since the start of the run.
 */
export function marksOf(
  { stages, spikes }: Pick<FileConfig['traffic'], 'stages' | 'spikes'>,
  { pauses, rateChanges }: { readonly pauses: readonly PauseRecord[]; readonly rateChanges: readonly RateChange[] },
  { offset, until }: { readonly offset: number; readonly until: number },
): Mark[] {
  const marks: Mark[] = [];
  let at = offset;
  for (const [index, { duration, rate }] of stages.entries()) {
    const end = at + (duration ?? Number.POSITIVE_INFINITY) / 1000;
    if (stages.length > 1 && at < until)
      marks.push({ kind: 'stage', from: at, to: Math.min(end, until), label: `stage ${index + 1}: ${number(rate)}/s` });
    at = end;
  }
  for (const { rate, duration, every, offset: first } of spikes) {
    const passed = until - offset - first / 1000;
    if (passed < 0) continue;
    const last = every === undefined ? 0 : Math.floor((passed * 1000) / every);
    for (let occurrence = Math.max(0, last - MOST_SPIKES + 1); occurrence <= last; occurrence++) {
      const from = offset + (first + occurrence * (every ?? 0)) / 1000;
      marks.push({
        kind: 'spike',
        from,
        to: Math.min(from + duration / 1000, until),
        label: `spike: ${number(rate)}/s`,
      });
    }
  }
  for (const [index, { after_seconds: after, rate }] of rateChanges.entries()) {
    const label = rate === null ? 'control file: the configured rate' : `control file: ${number(rate)}/s`;
    const next = rateChanges[index + 1]?.after_seconds;
    marks.push({ kind: 'stage', from: offset + after, to: next === undefined ? until : offset + next, label });
  }
  return [
    ...marks,
    ...pauses.map(({ after_seconds: after, seconds, reason }): Mark => {
      const from = offset + after;
      return { kind: 'pause', from, to: from + seconds, label: `paused: ${reason}` };
    }),
  ];
}
