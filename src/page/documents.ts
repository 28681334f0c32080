import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Endpoint } from '../metrics/endpoint.js';
import { packageFile } from '../package.js';

const FOLDER = fileURLToPath(packageFile('docs/'));

/** Serves the documentation that is installed with the program: a list at `/docs`, each page as Markdown below it. */
export function serveDocuments(endpoint: Endpoint): void {
  const pages = existsSync(FOLDER) ? readdirSync(FOLDER).filter((file) => file.endsWith('.md')) : [];
  const items = pages.map((file) => `<li><a href="/docs/${file}">${file.replace(/\.md$/, '')}</a></li>`).join('');
  const list = items === '' ? '<p>The documentation is not part of this installation.</p>' : `<ul>${items}</ul>`;
  endpoint.on('/docs', (_, response) => {
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' });
    response.end(
      `<!doctype html><html lang="en"><meta charset="utf-8"><title>Documentation</title><h1>Documentation</h1>${list}</html>`,
    );
  });
  for (const file of pages)
    endpoint.on(`/docs/${file}`, (_, response) => {
      response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' });
      response.end(readFileSync(packageFile(`docs/${file}`)));
    });
}
