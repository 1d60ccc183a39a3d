/** One Markdown page as HTML: headings with GitHub's names, links as they are on the site, and its text by section. */
import { existsSync, statSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import GithubSlugger from 'github-slugger';
import MarkdownIt, { type Token } from 'markdown-it';

/** A part of a page under one heading, for the search. */
export interface Section {
  readonly id: string;
  readonly page: string;
  readonly title: string;
  readonly text: string;
}

export interface RenderedPage {
  readonly title: string;
  readonly html: string;
  readonly sections: readonly Section[];
  /** Files of the repository that it links to, which the site needs a copy of. */
  readonly files: readonly string[];
}

/** Where a page of the repository is on the site. */
export function addressOf(path: string): string {
  return path === 'README.md' ? 'index.html' : `${path.slice('docs/'.length, -'.md'.length)}.html`;
}

/** @param path of the page, such as docs/start.md */
export function renderPage(path: string, source: string): RenderedPage {
  const markdown = new MarkdownIt({ html: true });
  const tokens = markdown.parse(source, {});
  const files = new Set<string>();
  const sections: Section[] = [];
  const slugger = new GithubSlugger();
  let text: string[] = [];
  let [heading, anchor] = ['', ''];
  const finish = () => {
    const address = addressOf(path) + (anchor === '' ? '' : `#${anchor}`);
    if (heading !== '') sections.push({ id: address, page: path, title: heading, text: text.join('\n') });
    text = [];
  };
  for (const [i, token] of tokens.entries()) {
    for (const inline of token.children ?? []) relink(inline, path, files);
    nameLinks(token.children ?? []);
    const title = tokens[i + 1];
    if (token.type === 'heading_open' && title !== undefined) {
      finish();
      heading = textOf(title);
      anchor = slugger.slug(heading);
      token.attrSet('id', anchor);
      if (sections.length === 0) anchor = '';
    } else if (token.type === 'inline' && tokens[i - 1]?.type !== 'heading_open') text.push(textOf(token));
    else if (token.type === 'fence') text.push(token.content);
  }
  finish();
  const html = markdown.renderer.render(withoutComments(tokens), markdown.options, {});
  return { title: sections[0]?.title ?? path, html, sections, files: [...files] };
}

const textOf = ({ children }: Token): string =>
  (children ?? [])
    .filter(({ type }) => ['text', 'code_inline'].includes(type))
    .map(({ content }) => content)
    .join('');

/** A link that says only the name of a file, `methods.md`, has no ending where pages are no files. */
function nameLinks(tokens: readonly Token[]): void {
  for (const [i, token] of tokens.entries())
    if (tokens[i - 1]?.type === 'link_open') token.content = token.content.replace(/^([\w-]+)\.md$/, '$1');
}

/** Marks for the tests are for nobody who reads the site. */
const withoutComments = (tokens: readonly Token[]): Token[] =>
  tokens.filter(({ type, content }) => type !== 'html_block' || !content.startsWith('<!--'));

/** Points a link at the site: pages to their HTML, other files to a copy of them; a folder is no link any more. */
function relink(token: Token, page: string, files: Set<string>): void {
  const name = token.type === 'image' ? 'src' : 'href';
  const value = String(token.attrGet(name) ?? '#');
  if (/^([a-z]+:|#)/.test(value)) return;
  const [target, heading] = value.split('#');
  const path = normalize(join(dirname(page), target));
  const isPage = path === 'README.md' || /^docs\/[^/]+\.md$/.test(path);
  if (isPage) {
    token.attrSet(name, addressOf(path) + (heading === undefined ? '' : `#${heading}`));
  } else if (existsSync(path) && statSync(path).isFile()) {
    files.add(path);
    token.attrSet(name, `files/${path}`);
  } else {
    token.attrs = null;
  }
}
