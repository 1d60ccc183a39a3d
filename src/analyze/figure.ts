/** What an analysis gives: figures and tables as plain JSON, which `svg.ts`, the report and the page draw. */

export interface Axis {
  readonly label: string;
  readonly unit?: string;
  /** 'point' for x values that are names, in the order in which they come. */
  readonly scale?: 'linear' | 'log' | 'point';
}

export interface Point {
  readonly x: number | string;
  readonly y: number;
  /** 95% interval of y. */
  readonly low?: number;
  readonly high?: number;
}

export interface Series {
  readonly name: string;
  readonly mark: 'line' | 'dotted' | 'dots' | 'bars';
  /** Series of one group share a colour; without it each has its own. */
  readonly group?: string;
  readonly points: readonly Point[];
}

/** A line across the figure. */
export interface Rule {
  readonly axis: 'x' | 'y';
  readonly value: number;
  readonly label: string;
}

export interface Figure {
  readonly kind: 'figure';
  /** Name of its files. */
  readonly name: string;
  readonly title: string;
  /** What was computed, in a sentence or two. */
  readonly caption: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly series: readonly Series[];
  readonly rules?: readonly Rule[];
  /** Files that the numbers are from. */
  readonly source: readonly string[];
}

export type Cell = string | number | null;

export interface Table {
  readonly kind: 'table';
  readonly name: string;
  readonly title: string;
  readonly caption: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly Cell[])[];
  readonly source: readonly string[];
}

export type Result = Figure | Table;
