/** Runs the workflows and the activities: `node lib/src/worker.js [--queues control|copy|all] [--copy-processes N]`. */
import os from 'node:os';
import { Client } from '@temporalio/client';
import type { DataConverter } from '@temporalio/common';
import { NativeConnection, Runtime } from '@temporalio/worker';
import { Command, InvalidArgumentError, Option } from 'commander';
import { keepAccessSchedule } from './access-schedule';
import { createDataConverter } from './codec/data-converter';
import { PayloadKeyUnavailable } from './codec/keys';
import { openKeys } from './codec/open-keys';
import { readPayloadKeyFile, readTemporalConfig, readWorkerConfig, type WorkerConfig } from './config';
import { copyProcesses, failedForGood, type CopyProcess } from './copy-processes';
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
  stopSignal,
  versioned,
  type Common,
  type Stoppable,
} from './workers';

type Queues = 'control' | 'copy' | 'all';

interface Options {
  readonly queues: Queues;
  readonly copyProcesses: number;
}

async function main(options: Options): Promise<void> {
  // The signals are for all parts of the worker, not only for those that the SDK knows.
  Runtime.install({ shutdownSignals: [] });
  const stopping = stopSignal();
  const config = readWorkerConfig();
  const dataConverter = createDataConverter(await openKeys(readPayloadKeyFile()));
  const { connectionOptions, namespace = 'default' } = readTemporalConfig();
  const connection = await NativeConnection.connect(connectionOptions);
  try {
    const common = { connection, namespace, dataConverter, ...versioned(config) };
    const parts = await createParts(common, config, options);
    await runTogether(parts, stopping).catch((error: unknown) => {
      throw new WorkFailed(error);
    });
  } finally {
    // A worker that failed may still hold it; the end of the process closes it then.
    await connection.close().catch(() => undefined);
  }
}

/** It was set up and worked: what ends it would end another as well. */
class WorkFailed extends Error {
  override readonly name = 'WorkFailed';

  constructor(override readonly cause: unknown) {
    super('The worker has failed');
  }
}

interface Connected extends Common {
  readonly connection: NativeConnection;
  readonly namespace: string;
  readonly dataConverter: DataConverter;
}

async function createParts(
  common: Connected,
  config: WorkerConfig,
  { queues, copyProcesses: processes }: Options,
): Promise<Stoppable[]> {
  const deps = createDeps(config);
  const parts: Stoppable[] = [];
  if (queues !== 'copy') {
    const { connection, namespace, dataConverter } = common;
    await registerSearchAttributes(connection, namespace);
    await keepAccessSchedule(new Client({ connection, namespace, dataConverter }), config.accessCheckAt, warn);
    parts.push(stoppable(await createControlWorker(common, config, deps)));
    parts.push(stoppable(await createExtractWorker(common, deps)));
    if (deps.webhook !== undefined) parts.push(stoppable(await createNoticeWorker(common, deps.webhook)));
  }
  if (queues !== 'control') {
    if (processes === 0) parts.push(stoppable(await createCopyWorker(common, config, deps)));
    else parts.push(...createCopyProcesses(processes));
  }
  return parts;
}

/** This command again, for the copy queue only. */
const createCopyProcesses = (count: number): CopyProcess[] =>
  copyProcesses(count, {
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
  const failure: unknown = error instanceof WorkFailed ? error.cause : error;
  console.error(
    failure instanceof InvalidInput || failure instanceof PayloadKeyUnavailable ? failure.message : failure,
  );
  const isCopyProcess = (process.connected as boolean | undefined) === true;
  // What the SDK began for a worker that failed, or that it could not create, would keep the process.
  process.exit(error instanceof WorkFailed && isCopyProcess ? failedForGood : 1);
});
