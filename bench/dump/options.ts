/** What the bench is asked for. */
import { parseArgs } from 'node:util';
import { InvalidInput } from '../../src/dump/inputs';
import { chosen, wholeNumber } from '../../sandbox/arguments';

export const usage = `npm run bench:dump -- [options]

  --quick           within a minute: fewer dumps, and overhead only with services that take their time
  --only PARTS      history, overhead, throughput: one or several, with commas (default all)
  --in-flight N     dumps that are at work at a time in throughput (default 32)
  --dumps N         dumps, and customers, in throughput (default 600; with --quick 128)
  --job-seconds N   how long an extract job takes in throughput (default 0: all services answer at once)
  --profile FOLDER  writes CPU profiles of the worker there
  --help            prints this`;

const partNames = ['history', 'overhead', 'throughput'] as const;
export type Part = (typeof partNames)[number];

export interface BenchOptions {
  readonly parts: readonly Part[];
  readonly quick: boolean;
  /** Small dumps that are laid beside their services' time. */
  readonly smallDumps: number;
  readonly inFlight: number;
  readonly dumps: number;
  readonly jobSeconds: number;
  readonly profileFolder: string | undefined;
}

/** @throws InvalidInput, and Node's own error for an unknown option; both are a sentence. */
export function readOptions(args: readonly string[]): BenchOptions | 'help' {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string', default: partNames.join() },
      'in-flight': { type: 'string', default: '32' },
      dumps: { type: 'string' },
      'job-seconds': { type: 'string', default: '0' },
      profile: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return 'help';
  const inFlight = wholeNumber('--in-flight', values['in-flight']);
  const dumps = wholeNumber('--dumps', values.dumps ?? (values.quick ? '128' : '600'));
  if (dumps < 3 * inFlight) {
    throw new InvalidInput(
      `--dumps takes at least three times --in-flight, ${3 * inFlight}: the first and last are not counted.`,
    );
  }
  return {
    parts: chosen('--only', values.only, partNames),
    quick: values.quick,
    smallDumps: values.quick ? 5 : 20,
    inFlight,
    dumps,
    jobSeconds: wholeNumber('--job-seconds', values['job-seconds'], 0),
    profileFolder: values.profile,
  };
}
