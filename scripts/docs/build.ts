/**
 * npm run docs: the documentation as a folder of files, dist/docs, which any web server or the file system can show.
 *
 *   *.html            README.md and docs/*.md
 *   search-index.js   sections of all pages (MiniSearch), searched in the browser
 *   api/              reference of what `import ... from 'prefgrad'` gives, made by deno doc
 *   files/            what pages link to besides pages
 */
import { spawnSync } from 'node:child_process';
import { copyFileSync, cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import MiniSearch from 'minisearch';
import { layout, type MenuSection } from './layout.ts';
import { addressOf, type RenderedPage, renderPage } from './markdown.ts';
import { MENU, pagesWithoutPlace } from './pages.ts';

const here = dirname(fileURLToPath(import.meta.url));
const require = createRequire(import.meta.url);
const root = join(here, '../..');
const OUT = resolve(process.argv[2] ?? join(root, 'dist/docs'));

process.chdir(root);
const missing = pagesWithoutPlace();
if (missing.length > 0)
  throw new Error(`Give these pages a place in scripts/docs/pages.ts: ${missing.join(', ')}`);
rmSync(OUT, { recursive: true, force: true });
mkdirSync(OUT, { recursive: true });
const pages = renderAll();
writePages(pages);
writeSearch(pages);
writeReference();
console.log(relative('.', join(OUT, 'index.html')));

function renderAll(): Map<string, RenderedPage> {
  const paths = ['README.md', ...MENU.flatMap(([, names]) => names.map((name) => `docs/${name}.md`))];
  return new Map(paths.map((path) => [path, renderPage(path, readFileSync(path, 'utf8'))]));
}

function writePages(pages: ReadonlyMap<string, RenderedPage>): void {
  const menu: MenuSection[] = MENU.map(([title, names]) => ({
    title,
    pages: names.map((name) => {
      const path = `docs/${name}.md`;
      return { address: addressOf(path), title: pages.get(path)?.title ?? name };
    }),
  }));
  menu.push({ title: 'Reference', pages: [{ address: 'api/index.html', title: 'API' }] });
  for (const [path, { title, html, files }] of pages) {
    const address = addressOf(path);
    writeFileSync(join(OUT, address), layout(title, address, html, menu));
    for (const file of files) cpSync(file, join(OUT, 'files', file), { recursive: true });
  }
  copyFileSync(join(here, 'site.css'), join(OUT, 'site.css'));
}

function writeSearch(pages: ReadonlyMap<string, RenderedPage>): void {
  const options = { fields: ['title', 'text'], storeFields: ['title', 'page'] };
  const search = new MiniSearch(options);
  search.addAll([...pages.values()].flatMap(({ sections }) => sections));
  const text = `window.prefgradSearch = ${JSON.stringify({ options, index: search })};\n`;
  writeFileSync(join(OUT, 'search-index.js'), text);
  copyFileSync(join(here, 'search.js'), join(OUT, 'search.js'));
  const main = require.resolve('minisearch');
  copyFileSync(join(dirname(main), '../umd/index.js'), join(OUT, 'minisearch.js'));
}

function writeReference(): void {
  const deno = join(root, 'node_modules/deno/bin.cjs');
  const args = [
    'doc',
    '--quiet',
    '--html',
    '--name=prefgrad',
    `--output=${join(OUT, 'api')}`,
    'src/index.ts',
  ];
  const { status, stderr } = spawnSync(process.execPath, [deno, ...args], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`deno doc failed:\n${stderr}`);
}
