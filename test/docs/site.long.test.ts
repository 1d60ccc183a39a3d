/** `npm run docs`: the site is complete in itself; no link of it is broken, and the search finds what people ask for. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import MiniSearch from 'minisearch';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PAGES } from './pages.ts';

const site = mkdtempSync(join(tmpdir(), 'prefgrad-site-'));
afterAll(() => rmSync(site, { recursive: true, force: true }));

beforeAll(() => {
  const { status, stderr } = spawnSync('npm', ['run', '--silent', 'docs', '--', site], { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
});

const htmlFiles = () =>
  readdirSync(site, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.html'));
const textOf = (file: string) => readFileSync(join(site, file), 'utf8');

/** Links that stay on the site and lead nowhere: to no file, or to no element of that name in it. */
function brokenLinks(file: string): string[] {
  const links = [...textOf(file).matchAll(/<(?:a|img|link|script)\b[^>]*?\b(?:href|src)="([^"]*)"/g)];
  return links
    .map(([, link]) => link.replaceAll('&amp;', '&').replaceAll('&#x2F;', '/'))
    .filter((link) => !/^[a-z]+:/.test(link))
    .filter((link) => {
      const [path, anchor] = link.split('#');
      const target = path === '' ? file : join(dirname(file), decodeURIComponent(path));
      if (!existsSync(join(site, target))) return true;
      // In the reference, links to methods of interfaces name places that deno doc does not mark: the page alone counts.
      const isMarked = Boolean(anchor) && !target.startsWith('api/');
      return isMarked && target.endsWith('.html') && !textOf(target).includes(`id="${anchor}"`);
    })
    .map((link) => `${file}: ${link}`);
}

describe('the site', () => {
  it('has every page', () => {
    const wanted = PAGES.map((page) => (page === 'README.md' ? 'index.html' : `${page.slice(5, -3)}.html`));
    expect(htmlFiles()).toEqual(expect.arrayContaining(wanted));
  });

  it('has no broken link, nor one in the reference', () => {
    expect(htmlFiles().flatMap(brokenLinks)).toEqual([]);
  });

  it('needs nothing from elsewhere', () => {
    const loaded = /<(?:script|link|img)\b[^>]*\b(?:src|href)="(?:https?:)?\/\//;
    expect(htmlFiles().filter((file) => loaded.test(textOf(file)))).toEqual([]);
  });

  it('has a reference of what the package exports', () => {
    for (const name of ['createRun', 'score', 'generate', 'loadModel', 'defineObjective'])
      expect(existsSync(join(site, 'api/~', `${name}.html`)), name).toBe(true);
  });

  it.each([
    ['chosen reward falls', 'choosing.html#failure-modes'],
    ['merge adapter', 'lora.html#deploy'],
    ['HF_TOKEN', 'data.html#the-hub'],
  ])('answers "%s"', (question, section) => {
    const text = readFileSync(resolve(site, 'search-index.js'), 'utf8');
    const { options, index } = JSON.parse(text.replace('window.prefgradSearch = ', '').trim().slice(0, -1));
    const found = MiniSearch.loadJS(index, options).search(question, {
      prefix: true,
      fuzzy: 0.2,
      boost: { title: 3 },
    });
    expect(found.slice(0, 5).map(({ id }) => String(id))).toContain(section);
  });
});
