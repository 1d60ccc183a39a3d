/** Style of a report, light and dark, with the colours of figures as custom properties. */
import { THEMES, type Theme } from '../theme.ts';

function properties({ ink, muted, background, series }: Theme): string {
  const colors = series.map((color, i) => `--series-${i + 1}: ${color};`).join(' ');
  return `--ink: ${ink}; --muted: ${muted}; --background: ${background}; ${colors}`;
}

export const STYLE = `
:root { color-scheme: light dark; ${properties(THEMES.light)} }
@media (prefers-color-scheme: dark) { :root { ${properties(THEMES.dark)} } }
body { max-width: 1120px; margin: 2rem auto; padding: 0 1rem; background: var(--background); color: var(--ink); font: 15px/1.5 Helvetica, Arial, sans-serif; }
h1, h2, h3 { line-height: 1.2; }
h2 { margin-top: 2.5rem; border-bottom: 1px solid var(--muted); }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 500px), 1fr)); gap: 1.5rem; }
figure { margin: 0; }
figure svg { width: 100%; height: auto; }
figcaption, caption { color: var(--muted); font-size: 13px; text-align: left; }
.table { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
th, td { padding: 3px 10px 3px 0; text-align: left; vertical-align: top; border-bottom: 1px solid color-mix(in srgb, var(--muted) 30%, transparent); }
.number { text-align: right; }
.tokens { line-height: 2; }
.tokens span { white-space: pre-wrap; padding: 2px 0; }
.tokens .up { background: color-mix(in srgb, var(--series-1) var(--share), transparent); }
.tokens .down { background: color-mix(in srgb, var(--series-2) var(--share), transparent); }
.tokens .varied { text-decoration: underline; }
.sample { white-space: pre-wrap; }
`;
