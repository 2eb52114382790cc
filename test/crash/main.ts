/** `npm run test:crash`: stages every fault, checks the invariant after each, and prints a table. */
import { parseArgs } from 'node:util';
import { runToEnd } from '../../sandbox/arguments';
import { InvalidInput } from '../../src/dump/inputs';
import type { Fault } from './fault';
import { faults } from './faults';
import { drawRandomKills } from './kills';
import { runMatrix, type Row } from './matrix';
import { table } from './table';

const usage = `npm run test:crash -- [options]

  --kills N       so many kills at random moments, beside the named faults (default 12)
  --seed S        draws the moments; the same seed draws the same (default: another each time, printed)
  --only TEXT     only faults whose kind and name have this text
  --sandboxes N   how many faults are staged side by side, each in a sandbox of its own (default 3)
  --list          prints the faults and stages none
  --help          prints this`;

interface Options {
  readonly kills: number;
  readonly seed: number;
  readonly only: string;
  readonly sandboxes: number;
  readonly list: boolean;
}

function readOptions(): Options | 'help' {
  const { values } = parseArgs({
    options: {
      kills: { type: 'string', default: '12' },
      seed: { type: 'string', default: String(Date.now() % 1_000_000) },
      only: { type: 'string', default: '' },
      sandboxes: { type: 'string', default: '3' },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return 'help';
  return {
    kills: wholeNumber('--kills', values.kills, 0),
    seed: wholeNumber('--seed', values.seed, 0),
    only: values.only,
    sandboxes: wholeNumber('--sandboxes', values.sandboxes, 1),
    list: values.list,
  };
}

function wholeNumber(name: string, text: string, least: number): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < least) {
    throw new InvalidInput(`${name} takes a whole number from ${least}, not '${text}'.`);
  }
  return value;
}

const label = ({ kind, name }: Fault): string => `${kind}: ${name}`;

async function main(): Promise<number> {
  const options = readOptions();
  if (options === 'help') {
    console.log(usage);
    return 0;
  }
  const { kills, seed, only, sandboxes, list } = options;
  const chosen = [...faults, ...drawRandomKills(kills, seed)].filter((fault) => label(fault).includes(only));
  if (chosen.length === 0) throw new InvalidInput(`No fault has the text '${only}': --list prints them all.`);
  if (list) {
    for (const fault of chosen) console.log(label(fault));
    return 0;
  }
  const beganAtMs = Date.now();
  console.log(`${chosen.length} faults, ${sandboxes} sandboxes, seed ${seed}`);
  let done = 0;
  const onRow = ({ fault, broken }: Row): void => {
    const result = broken.length === 0 ? 'survived' : `BROKEN: ${broken.join('; ')}`;
    console.log(`[${++done}/${chosen.length}] ${label(fault)}: ${result}`);
  };
  const rows = await runMatrix(chosen, { sandboxes, onRow });
  console.log(`\n${table(rows)}`);
  const survived = rows.filter(({ broken }) => broken.length === 0).length;
  const seconds = Math.round((Date.now() - beganAtMs) / 1000);
  console.log(`\n${rows.length} faults staged, ${survived} survived, seed ${seed}, ${seconds} s`);
  return survived === rows.length ? 0 : 1;
}

runToEnd(main);
