/** Tables as Markdown and as HTML, with numbers as people read them. */
import type { Cell, Table } from './figure.ts';

/** Whole numbers as they are, others with four significant digits. */
export function cellText(cell: Cell): string {
  if (cell === null) return '–';
  if (typeof cell === 'string') return cell;
  return Number.isInteger(cell) ? String(cell) : String(Number(cell.toPrecision(4)));
}

export function tableMarkdown({ title, caption, columns, rows }: Table): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|').replaceAll(/\s+/g, ' ').trim()).join(' | ')} |`;
  const lines = [
    line(columns),
    line(columns.map(() => '---')),
    ...rows.map((row) => line(row.map(cellText))),
  ];
  return `**${title}.** ${caption}\n\n${lines.join('\n')}\n`;
}
