/** Reads docs/authorisation.md: what it says is what is tried. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { PolicyDocument } from '../../src/dump/policies';

const lines = readFileSync(path.join(__dirname, '..', '..', 'docs', 'authorisation.md'), 'utf8').split('\n');

/** A row of a table, by the names of its columns. */
export type Row = Readonly<Record<string, string>>;

/** What stands under a heading, until the next one of any level. */
function sectionOf(heading: string): readonly string[] {
  const first = lines.findIndex((line) => line.replace(/^#+ /, '') === heading && line.startsWith('#'));
  if (first === -1) throw new Error(`docs/authorisation.md has no heading '${heading}'`);
  const length = lines.slice(first + 1).findIndex((line) => line.startsWith('#'));
  return lines.slice(first + 1, length === -1 ? undefined : first + 1 + length);
}

const cellsOf = (line: string): string[] =>
  line
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.trim());

/** The table under a heading. */
export function tableUnder(heading: string): Row[] {
  const [names = [], , ...rows] = sectionOf(heading)
    .filter((line) => line.startsWith('|'))
    .map(cellsOf);
  if (rows.length === 0) throw new Error(`docs/authorisation.md has no table under '${heading}'`);
  return rows.map((cells) => Object.fromEntries(names.map((name, column) => [name, cells[column] ?? ''])));
}

/** The fenced blocks of a language under a heading, in their order. */
export function blocksUnder(heading: string, language: string): string[] {
  const fenced = new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, 'gms');
  return [...sectionOf(heading).join('\n').matchAll(fenced)].map(([, block = '']) => block);
}

export const policiesUnder = (heading: string): PolicyDocument[] =>
  blocksUnder(heading, 'json').map((block) => JSON.parse(block) as PolicyDocument);

/** What stands in a cell as code. */
export const codeIn = (cell = ''): string[] => [...cell.matchAll(/`([^`]+)`/g)].map(([, code = '']) => code);

/** What a cell says that one reads. */
export const quotedIn = (cell = ''): string[] => [...cell.matchAll(/"([^"]+)"/g)].map(([, text = '']) => text);
