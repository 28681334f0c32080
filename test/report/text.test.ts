import { expect, it } from 'vitest';
import type { Summary } from '../../src/report/summary.js';
import { firstLine, summaryText } from '../../src/report/text.js';

const response = { p50: 0.0012, p90: 0.0034, p95: 0.005, p99: 0.0123, p999: 0.2, max: 1.5, buckets: [] };
const operations = { operations: 1000, rows: 4000, rolled_back: 0, rejected: 0, retries: 0 };
const table = {
  insert: operations,
  update: { ...operations, rows: 2000, retries: 30 },
  delete: { ...operations, rows: 1000, rejected: 2 },
  cascaded: { update: 0, delete: 7 },
  moved: 0,
  substituted: 3,
  skipped: 0,
  by_trigger: 0,
  net_rows: 3000,
  rows_at_start: 0,
  rows_expected: 3000,
  quarantined: null,
};

const SUMMARY: Summary = {
  schema_version: 1,
  run_id: '01234567',
  version: '0.1.0',
  faker_version: '10.6.0',
  started_at: '2026-01-01T00:00:00.000Z',
  elapsed_seconds: 61.04,
  exit: { code: 4, reason: 'not met: error_ratio < 0.0001 (0.0007)' },
  seeds: { random: '5', faker: '5' },
  plan_fingerprint: 'aaaa',
  schema_fingerprint: 'bbbb',
  server_version: '18.4',
  workers: 2,
  connections: 4,
  pipeline_depth: 8,
  row_selection: 'owned',
  generator_version: 10,
  reproducible: true,
  reproducible_because: [],
  lanes: [],
  totals: {
    operations: 3000,
    committed: 2998,
    rejected: 2,
    failed: 0,
    skipped: 0,
    rolled_back: 0,
    in_doubt_resolved: 4,
    in_doubt_unknown: 0,
    retries: 30,
    reconnects: 1,
    dropped: 12,
    late: 3,
    conflicts: 0,
  },
  transactions: { committed: 2998, rolled_back: 0, intended_rollback: 0 },
  events: { insert: 4000, update: 2000, delete: 1007 },
  tables: {
    'public.orders': table,
    ...Object.fromEntries(Array.from({ length: 11 }, (_, at) => [`public.t${at}`, { ...table, update: operations }])),
  },
  errors: { '23503': { count: 2, example: 'violates foreign key constraint' } },
  latency_seconds: {
    insert: { response, service: response },
    update: { response, service: response },
    delete: { response: null, service: null },
  },
  rate: { target: 50, achieved: 49.2, unit: 'operations', seconds: 60 },
  verdict: 'server-bound',
  verdict_because: { worker: 0.2, worker_cpu: 0.1, connections: 0.9, waiting: 0, advice: 'the server was busy' },
  thresholds: [
    { condition: 'response_seconds p99 < 0.5', value: 0.0123, passed: true, unjudged: null },
    { condition: 'error_ratio < 0.0001', value: 0.000667, passed: false, unjudged: null },
    { condition: 'coverage >= 1', value: null, passed: false, unjudged: 'nothing was measured' },
  ],
  coverage: { tables: 13, complete: 12, left_out: [{ cause: 'cannot insert', tables: ['public.lost'] }] },
  outages: [{ from: '2026-01-01T00:00:10.000Z', seconds: 2.5, lanes: 4, reason: 'the server closed the connection' }],
  indexes: null,
  replication: null,
  replication_slots: null,
  heartbeats_missed: null,
  generator: { cpu_seconds: 0.3, cpu_micros_per_operation: 100, event_loop_p99_seconds: 0.012, max_rss_bytes: 1e8 },
};

const VIEW = {
  isFull: false,
  files: ['s.json'],
  command: 'event-generator run --seed 5',
  next: [],
  columns: undefined,
};

it('tells what matters most first, within 60 columns', () => {
  const text = summaryText(SUMMARY, { ...VIEW, columns: 60 });
  expect(text).toMatchInlineSnapshot(`
    "
    Ended: not met: error_ratio < 0.0001 (0.0007) (exit code 4)

      ✓ response_seconds p99 < 0.5: 0.0123
      ✗ error_ratio < 0.0001: 0.000667
      ✗ coverage >= 1: nothing was measured

      3,000 operations, 7,007 events in 00:01:01
      50 operations/s (target 50), 117 events/s

      dropped 12, late 3
      committed 2,998, rejected 2, failed 0
      retries 30 (1.0 % of all attempts, most on public.orders)
      outages 1, 2.5 s in total
        longest: 2.5 s, from 2026-01-01T00:00:10.000Z
        (the server closed the connection)
      reconnects 1
      in doubt 4, resolved 4

      response      p50      p90      p99   p99.9    max
      insert    1.20 ms  3.40 ms  12.3 ms  200 ms  1.5 s
      update    1.20 ms  3.40 ms  12.3 ms  200 ms  1.5 s
      since the answer before
      insert    1.20 ms  3.40 ms  12.3 ms  200 ms  1.5 s
      update    1.20 ms  3.40 ms  12.3 ms  200 ms  1.5 s

      server-bound: the server was busy
      generator: 100 µs of CPU per operation, 100 MB
      event loop p99 12.0 ms

      12 of 13 tables take every operation; the rest:
        public.lost: cannot insert

      table      inserted  updated  deleted  rejected  rows now
      public.t0     4,000    4,000    1,000         2     3,000
      public.t1     4,000    4,000    1,000         2     3,000
      public.t2     4,000    4,000    1,000         2     3,000
      public.t3     4,000    4,000    1,000         2     3,000
      public.t4     4,000    4,000    1,000         2     3,000
      public.t5     4,000    4,000    1,000         2     3,000
      public.t6     4,000    4,000    1,000         2     3,000
      public.t7     4,000    4,000    1,000         2     3,000
      public.t8     4,000    4,000    1,000         2     3,000
      public.t9     4,000    4,000    1,000         2     3,000
        public.t0: 3 operations replaced by another kind, 7 rows
          deleted by cascade
        public.t1: 3 operations replaced by another kind, 7 rows
          deleted by cascade
        public.t2: 3 operations replaced by another kind, 7 rows
          deleted by cascade
      … 2 more with --full, or in the summary file

      errors
        23503 foreign_key_violation × 2, for example: violates
          foreign key constraint

      4 connections at depth 8, 2 workers, rows owned
      PostgreSQL 18.4
      seeds 5/5, reproducible
      files written: s.json
      to repeat this run: event-generator run --seed 5
    "
  `);
  for (const line of text.split('\n')) expect(line.length, line).toBeLessThanOrEqual(60);
});

it('is as wide with --full as a wide terminal, and no wider', () => {
  const text = summaryText(SUMMARY, { ...VIEW, isFull: true });
  expect(text).toMatchInlineSnapshot(`
    "
    Ended: not met: error_ratio < 0.0001 (0.0007) (exit code 4)

      ✓ response_seconds p99 < 0.5: 0.0123
      ✗ error_ratio < 0.0001: 0.000667
      ✗ coverage >= 1: nothing was measured

      3,000 operations, 7,007 events in 00:01:01
      50 operations/s (target 50), 117 events/s

      dropped 12, late 3
      committed 2,998, rejected 2, failed 0
      retries 30 (1.0 % of all attempts, most on public.orders)
      outages 1, 2.5 s in total
        longest: 2.5 s, from 2026-01-01T00:00:10.000Z
        (the server closed the connection)
      reconnects 1
      in doubt 4, resolved 4

      response      p50      p90      p99   p99.9    max
      insert    1.20 ms  3.40 ms  12.3 ms  200 ms  1.5 s
      update    1.20 ms  3.40 ms  12.3 ms  200 ms  1.5 s
      since the answer before
      insert    1.20 ms  3.40 ms  12.3 ms  200 ms  1.5 s
      update    1.20 ms  3.40 ms  12.3 ms  200 ms  1.5 s

      server-bound: the server was busy
      generator: 100 µs of CPU per operation, 100 MB
      event loop p99 12.0 ms

      12 of 13 tables take every operation; the rest:
        public.lost: cannot insert

      table          inserted  updated  deleted  rejected  rows now
      public.t0         4,000    4,000    1,000         2     3,000
      public.t1         4,000    4,000    1,000         2     3,000
      public.t2         4,000    4,000    1,000         2     3,000
      public.t3         4,000    4,000    1,000         2     3,000
      public.t4         4,000    4,000    1,000         2     3,000
      public.t5         4,000    4,000    1,000         2     3,000
      public.t6         4,000    4,000    1,000         2     3,000
      public.t7         4,000    4,000    1,000         2     3,000
      public.t8         4,000    4,000    1,000         2     3,000
      public.t9         4,000    4,000    1,000         2     3,000
      public.t10        4,000    4,000    1,000         2     3,000
      public.orders     4,000    2,000    1,000         2     3,000
        public.t0: 3 operations replaced by another kind, 7 rows deleted by cascade
        public.t1: 3 operations replaced by another kind, 7 rows deleted by cascade
        public.t2: 3 operations replaced by another kind, 7 rows deleted by cascade
        public.t3: 3 operations replaced by another kind, 7 rows deleted by cascade
        public.t4: 3 operations replaced by another kind, 7 rows deleted by cascade
        public.t5: 3 operations replaced by another kind, 7 rows deleted by cascade
        public.t6: 3 operations replaced by another kind, 7 rows deleted by cascade
        public.t7: 3 operations replaced by another kind, 7 rows deleted by cascade
        public.t8: 3 operations replaced by another kind, 7 rows deleted by cascade
        public.t9: 3 operations replaced by another kind, 7 rows deleted by cascade
        public.t10: 3 operations replaced by another kind, 7 rows deleted by cascade
        public.orders: 3 operations replaced by another kind, 7 rows deleted by cascade

      errors
        23503 foreign_key_violation × 2, for example: violates foreign key constraint

      4 connections at depth 8, 2 workers, rows owned
      PostgreSQL 18.4
      seeds 5/5, reproducible
      files written: s.json
      to repeat this run: event-generator run --seed 5
    "
  `);
  for (const line of text.split('\n')) expect(line.length, line).toBeLessThanOrEqual(120);
});

it('shows all tables and the other latency with --full, and one line with --quiet', () => {
  const text = summaryText(SUMMARY, { ...VIEW, isFull: true });
  for (let at = 0; at < 11; at++) expect(text).toContain(`public.t${at} `);
  expect(text).not.toContain('more with --full');
  expect(text).toContain('since the answer before');
  expect(firstLine(SUMMARY)).toBe('Ended: not met: error_ratio < 0.0001 (0.0007) (exit code 4)\n');
});
