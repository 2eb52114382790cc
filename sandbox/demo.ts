/** `npm run demo`: starts the sandbox, delivers a dump of made-up (or the user's own) tables, and shows what came of it. */
import { statSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { watchUntil } from '../src/client/command-line';
import { withDestinations, type DestinationReport, type Destinations } from '../src/client/destinations';
import { createProgressView } from '../src/client/status-view';
import { InvalidInput, parseAccountId, parseBucketName } from '../src/dump/inputs';
import { receiptKey } from '../src/dump/keys';
import { bytesText } from '../src/dump/text';
import { runToEnd } from './arguments';
import { b2bTables } from './b2b-tables';
import type { CustomerAccount } from './aws';
import { loadBucket, location, project, Sandbox } from './sandbox';
import { SandboxError } from './toolchain';
import { seedWarehouse, type SeededTable, type SeedOptions } from './warehouse-seed';

const usage = `npm run demo -- [options]

  --once             stop and exit when the dump is delivered
  --scale NUMBER     how much data to make up: 1 is 134,000 rows (default 1)
  --seed NUMBER      the same seed makes the same data (default 1)
  --empty TABLE      make this table without rows
  --data FOLDER      deliver your own .parquet, .csv, .ndjson or .jsonl files instead, a table each
  --path PATH        deliver under this path of the bucket
  --shard-rows N     rows to a shard (default 2500): BigQuery itself cuts by the gigabyte
  --any-port         take free ports instead of the usual ones
  --help             show this`;

const accountId = parseAccountId('acc_7Hq2');
const bucket = parseBucketName('acme-data-platform');
const dataset = 'data_platform';

interface DemoOptions {
  readonly once: boolean;
  readonly anyPort: boolean;
  readonly scale: number;
  readonly seed: number;
  readonly shardRows: number;
  readonly emptyTable: string | undefined;
  readonly dataFolder: string | undefined;
  readonly path: string | undefined;
}

function readOptions(argv: readonly string[]): DemoOptions | 'help' {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      once: { type: 'boolean', default: false },
      'any-port': { type: 'boolean', default: false },
      scale: { type: 'string', default: '1' },
      seed: { type: 'string', default: '1' },
      'shard-rows': { type: 'string', default: '2500' },
      empty: { type: 'string' },
      data: { type: 'string' },
      path: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return 'help';
  if (values.empty !== undefined && !(values.empty in b2bTables)) {
    throw new InvalidInput(`--empty names '${values.empty}': it is one of ${Object.keys(b2bTables).join(', ')}.`);
  }
  if (values.data !== undefined && !statSync(values.data, { throwIfNoEntry: false })?.isDirectory()) {
    throw new InvalidInput(`--data names '${values.data}', which is not a folder.`);
  }
  return {
    once: values.once,
    anyPort: values['any-port'],
    scale: positive('--scale', values.scale),
    seed: Math.trunc(positive('--seed', values.seed)),
    shardRows: Math.ceil(positive('--shard-rows', values['shard-rows'])),
    emptyTable: values.empty,
    dataFolder: values.data,
    path: values.path,
  };
}

function positive(name: string, text: string): number {
  const value = Number(text);
  if (!(value > 0) || !Number.isFinite(value)) throw new InvalidInput(`${name} takes a number above 0, not '${text}'.`);
  return value;
}

const say = (line = ''): void => console.log(line);

async function demo(options: DemoOptions): Promise<void> {
  say('Starting the sandbox: Temporal, and stand-ins for BigQuery, Cloud Storage and AWS.');
  const sandbox = await Sandbox.start({ ports: options.anyPort ? 'free' : 'usual', say, shardRows: options.shardRows });
  const stopped = untilInterrupted();
  try {
    say(`Temporal UI: ${sandbox.temporal.uiUrl}`);
    const delivered = deliver(sandbox, options);
    await Promise.race([delivered, stopped]);
    if (!options.once) await stopped;
  } finally {
    say('Stopping the sandbox.');
    await sandbox.stop();
  }
}

async function deliver(sandbox: Sandbox, options: DemoOptions): Promise<void> {
  say(`A customer, ${accountId}, follows the guide: a role, its trust and permission policies, a bucket.`);
  const customer = await sandbox.addCustomer(accountId, bucket);
  say('A worker starts, and the tables are made:');
  const [tables] = await Promise.all([seedWarehouse(seedOptions(sandbox, options), say), sandbox.startWorker()]);

  Object.assign(process.env, sandbox.temporal.environment);
  await withDestinations((destinations) => deliverRun(sandbox, customer, tables, destinations, options));
}

async function deliverRun(
  sandbox: Sandbox,
  customer: CustomerAccount,
  tables: readonly SeededTable[],
  destinations: Destinations,
  options: DemoOptions,
): Promise<void> {
  const { settings, proof } = await destinations.connect(accountId, {
    roleArn: customer.roleArn,
    bucket,
    path: options.path,
    tables: tables.map(({ name }) => name),
  });
  say(`Connected: ${proof.assumedRoleArn} may be assumed.`);

  const run = { runId: `run-${Date.now()}`, finishedAt: new Date(), dataset: `${project}.${dataset}` };
  await destinations.modellingRunSucceeded(accountId, run);
  say(`The pipeline says that ${run.runId} has succeeded.`);
  say();
  const view = createProgressView(process.stdout);
  const endedIn = ({ destination }: DestinationReport) =>
    destination.recentDumps.find(({ runId }) => runId === run.runId);
  const show = (report: DestinationReport): void => view.show(report);
  const report = await watchUntil(destinations, accountId, show, (status) => endedIn(status) !== undefined);
  view.stop();

  const ended = endedIn(report);
  if (ended?.outcome !== 'delivered') throw new SandboxError(`The dump was not delivered: ${ended?.reason ?? ''}`);
  say();
  await showBucket(customer, receiptKey(settings));
  if (!options.once) showWhatNext(sandbox, tables);
}

const seedOptions = (
  { bigquery, storage }: Sandbox,
  { seed, scale, dataFolder, emptyTable }: DemoOptions,
): SeedOptions => ({
  ...{ bigquery, storage, dataset, location, loadBucket },
  ...{ seed, scale, dataFolder, emptyTable },
});

async function showBucket(customer: CustomerAccount, receipt: string): Promise<void> {
  const objects = await customer.objects();
  say(`s3://${bucket}/${receipt}:`);
  say(Buffer.from((await customer.read(receipt)).bytes).toString('utf8'));
  say(`s3://${bucket}: ${objects.length} objects, ${bytesText(objects.reduce((sum, { Size = 0 }) => sum + Size, 0))}`);
  for (const line of tree(objects.map(({ Key, Size = 0 }) => ({ key: Key, size: Size })))) say(line);
}

/** Folders once, of a folder's many shards the first, the last and how many are between. */
function tree(objects: readonly { key: string; size: number }[]): string[] {
  const byFolder = Map.groupBy(objects, ({ key }) => key.slice(0, key.lastIndexOf('/') + 1));
  return [...byFolder].flatMap(([folder, inFolder]) => {
    const lines = inFolder.map(({ key, size }) => `  ${key.slice(folder.length)}  ${bytesText(size)}`);
    const shown =
      lines.length <= 6 ? lines : [...lines.slice(0, 2), `  … ${lines.length - 3} more`, ...lines.slice(-1)];
    return folder === '' ? shown.map((line) => line.slice(2)) : [folder, ...shown];
  });
}

function showWhatNext(sandbox: Sandbox, tables: readonly SeededTable[]): void {
  const { TEMPORAL_ADDRESS, AWS_ENDPOINT_URL } = sandbox.environment;
  const environment = TEMPORAL_ADDRESS === '127.0.0.1:7233' ? '' : `TEMPORAL_ADDRESS=${TEMPORAL_ADDRESS} `;
  const trust = AWS_ENDPOINT_URL === 'http://127.0.0.1:4566' ? '' : ` --endpoint ${AWS_ENDPOINT_URL}`;
  say();
  say(`See the dump in the Temporal UI: ${sandbox.temporal.uiUrl}/namespaces/default/workflows`);
  say();
  say('Try next, in another terminal:');
  say(`  ${environment}npx s3-destination run-succeeded ${accountId} --run-id run-2 --dataset ${project}.${dataset}`);
  say(`  ${environment}npx s3-destination status ${accountId} --watch`);
  say(`Break the customer's trust policy, signal another run, and watch it wait; mend it, and retry:`);
  say(`  npm run --silent sandbox:trust -- break${trust}`);
  say(`  ${environment}npx s3-destination run-succeeded ${accountId} --run-id run-3 --dataset ${project}.${dataset}`);
  say(`  npm run --silent sandbox:trust -- mend${trust}`);
  say(`  ${environment}npx s3-destination retry ${accountId}`);
  say();
  say(`${tables.length} tables are delivered. Ctrl-C stops everything.`);
}

const untilInterrupted = (): Promise<void> =>
  new Promise((resolve) => {
    process.once('SIGINT', () => resolve());
    process.once('SIGTERM', () => resolve());
  });

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2));
  if (options === 'help') return say(usage);
  await demo(options);
}

runToEnd(main);
