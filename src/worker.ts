/** Runs the workflows and the activities: `node lib/src/worker.js [--queues control|copy|all]`. */
import { NativeConnection } from '@temporalio/worker';
import { Command, Option } from 'commander';
import { createDataConverter } from './codec/data-converter';
import { readPayloadKeys, readTemporalConfig, readWorkerConfig } from './config';
import { InvalidInput } from './dump/inputs';
import { registerSearchAttributes } from './search-attributes';
import {
  createControlWorker,
  createCopyWorker,
  createDeps,
  createNoticeWorker,
  runTogether,
  versioned,
} from './workers';

type Queues = 'control' | 'copy' | 'all';

async function main(queues: Queues): Promise<void> {
  const config = readWorkerConfig();
  const dataConverter = createDataConverter(readPayloadKeys());
  const { connectionOptions, namespace = 'default' } = readTemporalConfig();
  const connection = await NativeConnection.connect(connectionOptions);
  try {
    await registerSearchAttributes(connection, namespace);
    const deps = createDeps(config);
    const common = { connection, namespace, dataConverter, ...versioned(config) };
    const workers = [
      ...(queues === 'copy' ? [] : [await createControlWorker(common, config, deps)]),
      ...(queues === 'copy' || deps.webhook === undefined ? [] : [await createNoticeWorker(common, deps.webhook)]),
      ...(queues === 'control' ? [] : [await createCopyWorker(common, config, deps)]),
    ];
    await runTogether(workers);
  } finally {
    await connection.close();
  }
}

const command = new Command('worker')
  .description('Runs the workflows and activities of s3-destination until SIGTERM or SIGINT.')
  .addOption(
    new Option('--queues <queues>', 'which task queues to work on')
      .choices(['control', 'copy', 'all'] satisfies Queues[])
      .default('all' satisfies Queues),
  )
  .action(({ queues }: { queues: Queues }) => main(queues));

command.parseAsync().catch((error: unknown) => {
  console.error(error instanceof InvalidInput ? error.message : error);
  process.exitCode = 1;
});
