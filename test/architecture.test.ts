import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/* The flow of ARCHITECTURE.md, from left to right: imports point left. Rooms of one step may not import each other. */
const FLOW: readonly (readonly string[])[] = [
  ['src/random', 'src/package.ts', 'src/patience.ts'],
  ['src/config'],
  ['src/catalog'],
  ['src/datum', 'src/constraint'],
  ['src/plan'],
  ['src/lane'],
  ['src/history'],
  ['src/traffic'],
  ['src/prepare', 'src/bulk', 'src/lag', 'src/changes'],
  ['src/proof', 'src/steer', 'src/benchmark', 'src/traps', 'src/shards'],
  ['src/metrics', 'src/report', 'src/server', 'workers'],
  ['src/page'],
  ['src/commands'],
  ['src/cli.ts'],
];

const PURE = [
  'src/random',
  'src/catalog/model.ts',
  'src/catalog/expression.ts',
  'src/datum',
  'src/constraint',
  'src/plan',
  'src/lane',
];

function sources(): string[] {
  return ['src', 'workers'].flatMap((folder) =>
    readdirSync(path.join(ROOT, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
      .map((entry) => path.relative(ROOT, path.join(entry.parentPath, entry.name)).split(path.sep).join('/')),
  );
}

interface Import {
  readonly from: string;
  readonly to: string;
  readonly typeOnly: boolean;
}

function imports(): Import[] {
  return sources().flatMap((file) => {
    const text = readFileSync(path.join(ROOT, file), 'utf8');
    return [...text.matchAll(/^(?:import|export) (type )?[^;]*?from '([^']+)';|^import '([^']+)';/gms)].map((match) => {
      const target = match[2] ?? match[3]!;
      const to = target.startsWith('.')
        ? path.posix.join(path.posix.dirname(file), target).replace(/\.js$/, '.ts')
        : target;
      return { from: file, to, typeOnly: match[1] !== undefined };
    });
  });
}

function stepOf(file: string): number {
  return FLOW.findIndex((rooms) => rooms.some((room) => file === room || file.startsWith(`${room}/`)));
}

function roomOf(file: string): string {
  return FLOW.flat().find((room) => file === room || file.startsWith(`${room}/`))!;
}

describe('the house', () => {
  it('has a place in the flow for every file', () => {
    expect(sources().filter((file) => stepOf(file) < 0)).toEqual([]);
  });

  it('imports only to the left', () => {
    const wrong = imports()
      .filter(({ to }) => to.startsWith('src/') || to.startsWith('workers/'))
      .filter(
        ({ from, to }) => stepOf(to) > stepOf(from) || (stepOf(to) === stepOf(from) && roomOf(to) !== roomOf(from)),
      )
      .map(({ from, to }) => `${from} → ${to}`);
    expect(wrong).toEqual([]);
  });

  it('keeps the pure part free of the outside', () => {
    const isPure = (file: string) => PURE.some((room) => file === room || file.startsWith(`${room}/`));
    const outside = imports()
      .filter(
        ({ from, to }) =>
          isPure(from) &&
          (to.startsWith('node:') || ['pg', 'pg-cursor', 'piscina', 'prom-client', 'yaml'].includes(to)),
      )
      .map(({ from, to }) => `${from} → ${to}`);
    expect(outside).toEqual([]);
    // Configuration is plain data and messages to the pure part; reading files is its own business.
    const loaders = imports().filter(
      ({ from, to, typeOnly }) => isPure(from) && to === 'src/config/load.ts' && !typeOnly,
    );
    expect(loaders).toEqual([]);
    const forbidden =
      /Math\.random|Date\.now|new Date\(\)|performance\.now|process\.|setTimeout|setInterval|localeCompare|\*\*/;
    const code = (file: string) =>
      readFileSync(path.join(ROOT, file), 'utf8').replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*/g, '');
    expect(sources().filter((file) => isPure(file) && forbidden.test(code(file)))).toEqual([]);
  });

  it('keeps what only the main thread needs out of the worker threads', () => {
    for (const worker of ['traffic', 'load']) {
      const files = new Set([path.join(ROOT, `dist/workers/${worker}.js`)]);
      const packages = new Set<string>();
      for (const file of files) {
        const code = readFileSync(file, 'utf8');
        for (const [, chunk] of code.matchAll(/(?:from|import) "(\.[^"]+)"/g))
          files.add(path.resolve(path.dirname(file), chunk!));
        for (const [, name] of code.matchAll(/^\/\/ node_modules\/((?:@[^/]+\/)?[^/]+)/gm)) packages.add(name!);
      }
      expect([...packages]).toContain('pg');
      for (const name of ['zod', 'yaml', 'commander', 'prom-client', 'fast-check', '@eslint-community/regexpp'])
        expect([...packages]).not.toContain(name);
    }
  });

  it('has no room without a noun', () => {
    expect(sources().filter((file) => /(^|\/)(utils?|helpers?|types|common|misc|index)(\.ts|\/)/.test(file))).toEqual(
      [],
    );
  });
});
