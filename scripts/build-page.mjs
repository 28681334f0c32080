// The page and the report are one file: script and style are built and put into it, so that it needs no other request.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const { outputFiles } = await build({
  entryPoints: [path.join(root, 'page', 'main.ts')],
  outdir: path.join(root, 'dist', 'page'),
  bundle: true,
  minify: true,
  format: 'esm',
  target: 'es2022',
  legalComments: 'inline',
  write: false,
});
const text = (extension) => outputFiles.find(({ path: file }) => file.endsWith(extension)).text.trim();
const html = readFileSync(path.join(root, 'page', 'page.html'), 'utf8')
  .replace('/*style*/', () => text('.css'))
  .replace('/*script*/', () => text('.js').replaceAll('</script', '<\\/script'));
mkdirSync(path.join(root, 'dist', 'page'), { recursive: true });
writeFileSync(path.join(root, 'dist', 'page', 'page.html'), html);
