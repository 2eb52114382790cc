/** What the bench is asked for. */
import os from 'node:os';
import { parseArgs } from 'node:util';
import type { Case } from './cases';

const caseNames = ['normal', 'small', 'giant'] satisfies Case['name'][];
const transportNames = ['tls', 'plain'] as const;

export interface BenchOptions {
  readonly quick: boolean;
  readonly only: readonly Case['name'][];
  readonly transports: readonly (typeof transportNames)[number][];
  readonly processes: number;
  readonly profileFolder: string | undefined;
  readonly settings: Readonly<Record<string, string>>;
}

export function readOptions(args: string[] = process.argv.slice(2)): BenchOptions {
  const { values } = parseArgs({
    args,
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string', default: caseNames.join() },
      transport: { type: 'string', default: transportNames.join() },
      processes: { type: 'string', default: String(os.availableParallelism()) },
      set: { type: 'string', multiple: true, default: [] },
      profile: { type: 'string' },
    },
  });
  return {
    quick: values.quick,
    only: chosen('--only', values.only, caseNames),
    transports: chosen('--transport', values.transport, transportNames),
    processes: parseProcesses(values.processes),
    profileFolder: values.profile,
    settings: Object.fromEntries(values.set.map(parseSetting)),
  };
}

function chosen<T extends string>(option: string, text: string, known: readonly T[]): readonly T[] {
  const words = text.split(',');
  const unknown = words.find((word) => !(known as readonly string[]).includes(word));
  if (unknown !== undefined) throw new Error(`${option} takes ${known.join(' and ')}, not '${unknown}'.`);
  return known.filter((name) => words.includes(name));
}

function parseProcesses(text: string): number {
  if (!/^[1-9]\d{0,2}$/.test(text)) throw new Error(`--processes takes a whole number from 1 to 999, not '${text}'.`);
  return Number(text);
}

function parseSetting(text: string): [string, string] {
  const [, name, value] = /^([A-Z0-9_]+)=(.*)$/.exec(text) ?? [];
  if (name === undefined || value === undefined) throw new Error(`--set takes NAME=value, not '${text}'.`);
  return [name, value];
}
