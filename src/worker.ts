/** Runs the workflows and the activities: `node lib/src/worker.js [--queues control|copy|all] [--copy-processes N]`. */
import os from 'node:os';
import { Client } from '@temporalio/client';
import { NativeConnection, Runtime } from '@temporalio/worker';
import { Command, InvalidArgumentError, Option } from 'commander';
import { keepAccessSchedule } from './access-schedule';
import { createDataConverter } from './codec/data-converter';
import { PayloadKeyUnavailable } from './codec/keys';
import { openKeys } from './codec/open-keys';
import { readPayloadKeyFile, readTemporalConfig, readWorkerConfig } from './config';
import { CopyProcesses } from './copy-processes';
import { InvalidInput } from './dump/inputs';
import { registerSearchAttributes } from './search-attributes';
import {
  createControlWorker,
  createCopyWorker,
  createDeps,
  createExtractWorker,
  createNoticeWorker,
  runTogether,
  stoppable,
  versioned,
} from './workers';

type Queues = 'control' | 'copy' | 'all';

interface Options {
  readonly queues: Queues;
  readonly copyProcesses: number;
}

async function main({ queues, copyProcesses }: Options): Promise<void> {
  const config = readWorkerConfig();
  const dataConverter = createDataConverter(await openKeys(readPayloadKeyFile()));
  const { connectionOptions, namespace = 'default' } = readTemporalConfig();
  const connection = await NativeConnection.connect(connectionOptions);
  try {
    if (queues !== 'copy') {
      await registerSearchAttributes(connection, namespace);
      await keepAccessSchedule(new Client({ connection, namespace, dataConverter }), config.accessCheckAt, warn);
    }
    const deps = createDeps(config);
    const common = { connection, namespace, dataConverter, ...versioned(config) };
    const copiesHere = queues !== 'control' && copyProcesses === 0;
    const workers = [
      ...(queues === 'copy'
        ? []
        : [await createControlWorker(common, config, deps), await createExtractWorker(common, deps)]),
      ...(queues === 'copy' || deps.webhook === undefined ? [] : [await createNoticeWorker(common, deps.webhook)]),
      ...(copiesHere ? [await createCopyWorker(common, config, deps)] : []),
    ];
    const copiesElsewhere = queues !== 'control' && !copiesHere;
    await runTogether([...workers.map(stoppable), ...(copiesElsewhere ? [createCopyProcesses(copyProcesses)] : [])]);
  } finally {
    // A worker that failed may still hold it; the end of the process closes it then.
    await connection.close().catch(() => undefined);
  }
}

/** This command again, for the copy queue only. */
const createCopyProcesses = (count: number): CopyProcesses =>
  new CopyProcesses({
    count,
    program: __filename,
    args: ['--queues', 'copy' satisfies Queues, '--copy-processes', '0'],
    environment: process.env,
    warn,
  });

const warn = (message: string): void => Runtime.instance().logger.warn(message);

function parseProcesses(text: string): number {
  if (!/^\d{1,3}$/.test(text)) throw new InvalidArgumentError('It is not a whole number from 0 to 999.');
  return Number(text);
}

const command = new Command('worker')
  .description('Runs the workflows and activities of s3-destination until SIGTERM or SIGINT.')
  .addOption(
    new Option('--queues <queues>', 'which task queues to work on')
      .choices(['control', 'copy', 'all'] satisfies Queues[])
      .default('all' satisfies Queues),
  )
  .addOption(
    new Option('--copy-processes <n>', 'processes that copy beside this one; with 0 this one copies')
      .argParser(parseProcesses)
      .default(os.availableParallelism(), 'the number of cores'),
  )
  .action((options: Options) => main(options));

command.parseAsync().catch((error: unknown) => {
  console.error(error instanceof InvalidInput || error instanceof PayloadKeyUnavailable ? error.message : error);
  // What the SDK began for a worker that failed, or that it could not create, would keep the process.
  process.exit(1);
});
