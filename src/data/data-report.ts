/** What became of the rows of a data set, in numbers and in words. */
import { z } from 'zod';
import { DATA_FORMATS, type RowFormat } from './formats.ts';

/** kept + identical + tooLong + bad = rows. */
export interface DataReport {
  /** Rows read. */
  rows: number;
  kept: number;
  /** Kept rows that lost tokens to a limit. */
  truncated: number;
  /** Pairs dropped because both answers are (within `maxLength`) the same tokens. */
  identical: number;
  /** Rows dropped because `maxLength` leaves no room for an answer. */
  tooLong: number;
  /** Rows that are wrong; more than 0 only where they are skipped. */
  bad: number;
  /** Rows by the form they were read as. */
  formats: Partial<Record<RowFormat, number>>;
  /** Tokens of the longest kept prompt + answer. */
  longest: number;
}

const count = () => z.number().int().min(0);

/** Of a report that was written to a file. */
export const reportSchema: z.ZodType<DataReport> = z.object({
  rows: count(),
  kept: count(),
  truncated: count(),
  identical: count(),
  tooLong: count(),
  bad: count(),
  formats: z.partialRecord(z.enum(DATA_FORMATS).exclude(['auto']), count()),
  longest: count(),
});

export function emptyReport(): DataReport {
  return { rows: 0, kept: 0, truncated: 0, identical: 0, tooLong: 0, bad: 0, formats: {}, longest: 0 };
}

/** '12 rows read as ultrafeedback, 10 kept (3 truncated, longest 512 tokens), 2 with identical answers'. */
export function reportText(report: DataReport): string {
  const { kept, truncated, longest } = report;
  return `${leftText(report)}; ${kept} kept, ${truncated} truncated, longest ${longest} tokens`;
}

/** The part of it that says what was left out. */
export function leftText({ rows, identical, tooLong, bad, formats }: DataReport): string {
  const names = Object.entries(formats).map(([name, n]) => (n === rows ? name : `${name} (${n})`));
  return [
    `${rows} rows read${names.length === 0 ? '' : ` as ${names.join(', ')}`}`,
    `${identical} with identical answers`,
    `${tooLong} too long`,
    ...(bad > 0 ? [`${bad} skipped as wrong`] : []),
  ].join(', ');
}
