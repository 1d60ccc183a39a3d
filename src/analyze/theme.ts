/** Colours of drawings. Those of the series the colour-blind tell apart (Okabe and Ito; without yellow, too light for lines). */
import type { Series } from './figure.ts';

export interface Theme {
  readonly ink: string;
  readonly muted: string;
  readonly background: string;
  readonly series: readonly string[];
}

export const THEMES = {
  light: {
    ink: '#1a1a1a',
    muted: '#6b6b6b',
    background: '#ffffff',
    series: ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#1a1a1a'],
  },
  dark: {
    ink: '#ececec',
    muted: '#a3a3a3',
    background: '#16181d',
    series: ['#56b4e9', '#e69f00', '#00b98a', '#e08fbf', '#f5793a', '#4c8dd6', '#ececec'],
  },
} as const satisfies Record<string, Theme>;

export type ThemeName = keyof typeof THEMES;

/** The colours of a page, which has them as custom properties: --ink, --muted, --series-1 to --series-7. */
export const PAGE_THEME: Theme = {
  ink: 'var(--ink)',
  muted: 'var(--muted)',
  background: 'none',
  series: THEMES.light.series.map((_, i) => `var(--series-${i + 1})`),
};

/** The colour of each series, in order. */
export function colorsOf(series: readonly Series[], theme: Theme): string[] {
  const keys = series.map(({ group, name }) => group ?? name);
  const distinct = [...new Set(keys)];
  return keys.map((key) => theme.series[distinct.indexOf(key) % theme.series.length]);
}
