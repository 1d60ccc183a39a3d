/** AlpacaEval's table of instructions: how difficult each is, and how answers made long or short on purpose did. */
import { InputError } from '../../errors.ts';

/** A row of df_gamed.csv. */
export interface DifficultyRow {
  /** Number of the instruction. */
  readonly index: number;
  readonly difficulty: number;
  /** 0..1, for the answer whose length was changed. */
  readonly preference: number;
  /** Over its standard deviation. */
  readonly lengthDifference: number;
}

const COLUMNS = {
  index: 'index',
  difficulty: 'instruction_difficulty',
  preference: 'preference',
  lengthDifference: 'std_delta_len',
} as const;

/** @throws InputError where a column is missing or a value is not a number */
export function readDifficulty(csv: string, file: string): DifficultyRow[] {
  const [head = '', ...lines] = csv.split(/\r?\n/).filter((line) => line.trim() !== '');
  const names = head.split(',').map((name) => name.trim());
  const numberAt = (cells: readonly string[], column: string, line: number): number => {
    const at = names.indexOf(column);
    if (at < 0)
      throw new InputError(
        `${file}: there is no column '${column}'; it is AlpacaEval's df_gamed.csv that is read.`,
      );
    const value = Number(cells[at]);
    if (cells[at] === undefined || cells[at].trim() === '' || !Number.isFinite(value))
      throw new InputError(
        `${file}:${line}: '${column}' must be a number, found ${JSON.stringify(cells[at])}.`,
      );
    return value;
  };
  return lines.map((line, i) => {
    const cells = line.split(',');
    return {
      index: numberAt(cells, COLUMNS.index, i + 2),
      difficulty: numberAt(cells, COLUMNS.difficulty, i + 2),
      preference: numberAt(cells, COLUMNS.preference, i + 2),
      lengthDifference: numberAt(cells, COLUMNS.lengthDifference, i + 2),
    };
  });
}
