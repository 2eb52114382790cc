/** What the bench is asked for. */
import os from 'node:os';
import { parseArgs } from 'node:util';
import { InvalidInput } from '../../src/dump/inputs';
import { chosen, wholeNumber } from '../../sandbox/arguments';
import type { Case } from './cases';

export const usage = `npm run bench:copy -- [options]

  --quick              within a minute: fewer and smaller shards, one round
  --only CASES         normal, small, giant: one or several, with commas (default all)
  --transport KINDS    tls, plain, or both, with a comma (default both)
  --processes N        copying processes of ours (default half of the cores, as the two servers need the others)
  --set NAME=VALUE     a setting of the worker, as COPY_SHARDS_IN_FLIGHT=16; may be given more than once
  --profile FOLDER     writes CPU profiles of our copying processes there
  --help               prints this`;

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

/** @throws InvalidInput, and Node's own error for an unknown option; both are a sentence. */
export function readOptions(args: readonly string[]): BenchOptions | 'help' {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string', default: caseNames.join() },
      transport: { type: 'string', default: transportNames.join() },
      processes: { type: 'string', default: String(Math.max(Math.floor(os.availableParallelism() / 2), 1)) },
      set: { type: 'string', multiple: true, default: [] },
      profile: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return 'help';
  return {
    quick: values.quick,
    only: chosen('--only', values.only, caseNames),
    transports: chosen('--transport', values.transport, transportNames),
    processes: wholeNumber('--processes', values.processes),
    profileFolder: values.profile,
    settings: Object.fromEntries(values.set.map(parseSetting)),
  };
}

function parseSetting(text: string): [string, string] {
  const [, name, value] = /^([A-Z0-9_]+)=(.*)$/.exec(text) ?? [];
  if (name === undefined || value === undefined) throw new InvalidInput(`--set takes NAME=value, not '${text}'.`);
  return [name, value];
}
