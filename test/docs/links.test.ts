/** Links between the pages lead to files and headings that are there, and every page can be reached from the README. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import GithubSlugger from 'github-slugger';
import MarkdownIt, { type Token } from 'markdown-it';
import { describe, expect, it } from 'vitest';
import { PAGES } from './pages.ts';

const inlineTokens = (page: string): Token[] =>
  new MarkdownIt({ html: true })
    .parse(readFileSync(page, 'utf8'), {})
    .flatMap(({ children }) => children ?? []);

/** Targets of links and images that stay in the repository: path from its root, and heading. */
const linksOf = (page: string) =>
  inlineTokens(page)
    .flatMap(({ attrs }) => attrs ?? [])
    .filter(([name]) => ['href', 'src'].includes(name))
    .map(([, value]) => String(value))
    .filter((value) => !/^[a-z]+:/.test(value))
    .map((value) => {
      const [path, heading] = value.split('#');
      return { value, path: path === '' ? page : normalize(join(dirname(page), path)), heading };
    });

/** Names of headings as GitHub and the site give them. */
function headingsOf(page: string): Set<string> {
  const slugger = new GithubSlugger();
  const tokens = new MarkdownIt({ html: true }).parse(readFileSync(page, 'utf8'), {});
  const titles = tokens.filter((_, i) => tokens[i - 1]?.type === 'heading_open');
  const text = ({ children }: Token) =>
    (children ?? [])
      .filter(({ type }) => ['text', 'code_inline'].includes(type))
      .map(({ content }) => content)
      .join('');
  return new Set(titles.map((title) => slugger.slug(text(title))));
}

describe.each(PAGES)('%s', (page) => {
  it('links to files and headings that are there', () => {
    const broken = linksOf(page).filter(({ path, heading }) => {
      if (!existsSync(path)) return true;
      return heading !== undefined && path.endsWith('.md') && !headingsOf(path).has(heading);
    });
    expect(broken.map(({ value }) => value)).toEqual([]);
  });
});

it('every page can be reached from the README', () => {
  const reached = new Set(['README.md']);
  for (const page of reached)
    for (const { path } of linksOf(page)) if (path.endsWith('.md')) reached.add(path);
  expect(PAGES.filter((page) => !reached.has(page))).toEqual([]);
});
