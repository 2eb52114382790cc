/** Runs the workflows and the activities: `node lib/src/worker.js [--queues control|copy|all]`. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { NativeConnection, Worker, type WorkerOptions } from '@temporalio/worker';
import { Command, Option } from 'commander';
import { createControlActivities, createCopyActivities, createNoticeActivities, type ActivityDeps } from './activities';
import { createDataConverter } from './codec/data-converter';
import { readPayloadKeys, readTemporalConfig, readWorkerConfig, type WorkerConfig } from './config';
import { taskQueues } from './contract';
import { InvalidInput } from './dump/inputs';
import { registerSearchAttributes } from './search-attributes';
import { S3CustomerBuckets } from './stores/customer-bucket';
import { createBigQuery, createStorage } from './stores/google-clients';
import { GcsStagingBuckets } from './stores/staging-bucket';
import { BigQueryWarehouse } from './stores/warehouse';
import { HttpWebhook, type Webhook } from './stores/webhook';
import { heartbeatThrottleMs, shutdownForceMs, shutdownGraceMs } from './timing';
import { workflowBundlePath } from './workflow-bundle';

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

function createDeps(config: WorkerConfig): ActivityDeps {
  const { vendorRoleArn, awsRegion: region, s3ForcePathStyle: forcePathStyle, googleEndpoints, googleProject } = config;
  return {
    warehouse: new BigQueryWarehouse(createBigQuery(googleEndpoints, googleProject)),
    staging: new GcsStagingBuckets(createStorage(googleEndpoints, googleProject)),
    stagingBucketByLocation: config.stagingBucketByLocation,
    customerBuckets: new S3CustomerBuckets({ vendorRoleArn, region, forcePathStyle }),
    shardsInFlight: config.shardsInFlight,
    webhook: config.notices === undefined ? undefined : new HttpWebhook(config.notices),
  };
}

/** Requests to the receiver that this process makes side by side. */
const noticesAtATime = 10;

type Common = Pick<WorkerOptions, 'connection' | 'namespace' | 'dataConverter' | 'workerDeploymentOptions'>;

/** Each workflow says whether it stays on its version; the activities of both queues go with it. */
const versioned = ({ deploymentVersion: version }: WorkerConfig): Pick<WorkerOptions, 'workerDeploymentOptions'> =>
  version === undefined
    ? {}
    : { workerDeploymentOptions: { version, useWorkerVersioning: true, defaultVersioningBehavior: 'PINNED' } };

const graceful = {
  shutdownGraceTime: shutdownGraceMs,
  shutdownForceTime: shutdownForceMs,
  maxHeartbeatThrottleInterval: heartbeatThrottleMs,
  defaultHeartbeatThrottleInterval: heartbeatThrottleMs,
};

const createControlWorker = (common: Common, { production }: WorkerConfig, deps: ActivityDeps): Promise<Worker> =>
  Worker.create({
    ...common,
    ...graceful,
    ...workflowCode(production, common),
    taskQueue: taskQueues.control,
    activities: createControlActivities(deps),
  });

/** A control worker with a receiver. Its slots are its own: receivers that hang hold up nothing but notices. */
const createNoticeWorker = (common: Common, webhook: Webhook): Promise<Worker> =>
  Worker.create({
    ...common,
    ...graceful,
    taskQueue: taskQueues.notice,
    activities: createNoticeActivities(webhook),
    maxConcurrentActivityTaskExecutions: noticesAtATime,
  });

const createCopyWorker = (common: Common, { copyActivities }: WorkerConfig, deps: ActivityDeps): Promise<Worker> =>
  Worker.create({
    ...common,
    ...graceful,
    taskQueue: taskQueues.copy,
    activities: createCopyActivities(deps),
    maxConcurrentActivityTaskExecutions: copyActivities,
  });

/** Production loads the bundle that was built and tested; development bundles what is there. */
function workflowCode(
  production: boolean,
  { dataConverter }: Common,
): Pick<WorkerOptions, 'workflowBundle' | 'workflowsPath'> {
  if (!production) return { workflowsPath: path.join(__dirname, 'workflows') };
  const codePath = workflowBundlePath(dataConverter?.failureConverterPath);
  if (!existsSync(codePath)) {
    throw new InvalidInput(`NODE_ENV is production and there is no workflow bundle: run npm run bundle first.`);
  }
  return { workflowBundle: { codePath } };
}

/** Temporal's runtime shuts them all down on SIGTERM and SIGINT; where one fails, the others are shut down too. */
async function runTogether(workers: readonly Worker[]): Promise<void> {
  const runs = workers.map((worker) => worker.run());
  try {
    await Promise.all(runs);
  } catch (error) {
    for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown();
    await Promise.allSettled(runs);
    throw error;
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
