/** The frame around every page of the site. */

export interface MenuSection {
  readonly title: string;
  readonly pages: readonly { readonly address: string; readonly title: string }[];
}

const escaped = (text: string) =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');

/** @param address of the page itself, which the menu marks */
export function layout(title: string, address: string, html: string, menu: readonly MenuSection[]): string {
  const link = (page: MenuSection['pages'][number]) =>
    `<a href="${page.address}"${page.address === address ? ' aria-current="page"' : ''}>${escaped(page.title)}</a>`;
  const sections = menu.map(
    ({ title, pages }) => `<h2>${escaped(title)}</h2>\n${pages.map(link).join('\n')}`,
  );
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(title)}${address === 'index.html' ? '' : ' · prefgrad'}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="site.css">
<script defer src="minisearch.js"></script>
<script defer src="search-index.js"></script>
<script defer src="search.js"></script>
</head>
<body>
<nav aria-label="Pages">
<a class="name" href="index.html">prefgrad</a>
<input type="search" placeholder="Search" aria-label="Search the documentation" aria-controls="found">
<ol id="found" hidden></ol>
<details open>
<summary>Pages</summary>
${sections.join('\n')}
</details>
</nav>
<main>
${html}</main>
</body>
</html>
`;
}
