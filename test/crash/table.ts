import type { Row } from './matrix';

const headings = [
  'fault',
  'survived',
  'shards',
  'in flight',
  'put again',
  's to first progress',
  's to delivery',
] as const;

/** The rows of a matrix as a Markdown table, aligned for a terminal. */
export function table(rows: readonly Row[]): string {
  const cells = rows.map(cellsOf);
  const widths = headings.map((heading, column) =>
    Math.max(heading.length, ...cells.map((row) => row[column]?.length ?? 0)),
  );
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0))).join(' | ')} |`;
  const rule = `| ${widths.map((width, column) => (column === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`)).join(' | ')} |`;
  return [line(headings), rule, ...cells.map(line)].join('\n');
}

const cellsOf = (row: Row): string[] => [
  row.fault.name,
  row.broken.length === 0 ? 'yes' : 'NO',
  String(row.shards),
  String(row.shardsInFlight),
  String(row.shardsPutAgain),
  row.secondsToProgress?.toFixed(1) ?? '–',
  row.secondsToDelivery?.toFixed(1) ?? '–',
];
