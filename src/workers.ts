/** The workers that the command `worker` is made of, one for each task queue, and what their activities reach the world by. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { Worker, type WorkerOptions } from '@temporalio/worker';
import {
  createControlActivities,
  createCopyActivities,
  createExtractActivities,
  createNoticeActivities,
  type ActivityDeps,
} from './activities';
import type { WorkerConfig } from './config';
import { taskQueues } from './contract';
import { InvalidInput } from './dump/inputs';
import { Pace } from './dump/pace';
import { ShardSlots } from './dump/shard-slots';
import { S3CustomerBuckets } from './stores/customer-bucket';
import { createBigQuery, createStorage } from './stores/google-clients';
import { pieceBytes, streamedShardMemoryBytes } from './stores/staged-file-body';
import { GcsStagingBuckets } from './stores/staging-bucket';
import { BigQueryWarehouse } from './stores/warehouse';
import { HttpWebhook, type Webhook } from './stores/webhook';
import { failedWorkerCheckMs, heartbeatThrottleMs, pacedPieceMs, shutdownForceMs, shutdownGraceMs } from './timing';
import { workflowBundlePath } from './workflow-bundle';

export function createDeps(config: WorkerConfig): ActivityDeps {
  const { copyBandwidthMBPerSecond: bandwidth } = config;
  const pace = bandwidth === undefined ? undefined : new Pace(bandwidth * bytesPerMB);
  const { vendorRoleArn, awsRegion: region, s3ForcePathStyle: forcePathStyle, googleEndpoints, googleProject } = config;
  return {
    warehouse: new BigQueryWarehouse(createBigQuery(googleEndpoints, googleProject)),
    staging: new GcsStagingBuckets(createStorage(googleEndpoints, googleProject), { pace }),
    stagingBucketByLocation: config.stagingBucketByLocation,
    customerBuckets: new S3CustomerBuckets({ vendorRoleArn, region, forcePathStyle }),
    shardSlots: new ShardSlots(shardsInFlight(config)),
    webhook: config.notices === undefined ? undefined : new HttpWebhook(config.notices),
  };
}

const bytesPerMB = 1e6;

/**
 * As many as are set, and no more than the memory holds, or than the bandwidth lets send a piece each before S3 takes a
 * connection without bytes for dead; but one.
 * @throws InvalidInput where the memory holds none
 */
export function shardsInFlight({
  shardsInFlight: most,
  copyMemoryMB = Infinity,
  copyBandwidthMBPerSecond: bandwidth = Infinity,
}: Pick<WorkerConfig, 'shardsInFlight' | 'copyMemoryMB' | 'copyBandwidthMBPerSecond'>): number {
  const inMemory = Math.floor((copyMemoryMB * bytesPerMB) / streamedShardMemoryBytes);
  if (inMemory === 0) {
    throw new InvalidInput(
      `COPY_MEMORY_MB leaves ${copyMemoryMB} MB to a process that copies, and one shard takes ${(streamedShardMemoryBytes / bytesPerMB).toFixed(2)}: set more, or fewer --copy-processes.`,
    );
  }
  const atBandwidth = Math.floor((bandwidth * bytesPerMB * pacedPieceMs) / 1000 / pieceBytes);
  return Math.max(Math.min(most, inMemory, atBandwidth), 1);
}

/**
 * Extract jobs that this process waits for. BigQuery answers 100 requests of a kind a second to one identity (quotas, "API
 * requests per second"): these ask for their states about half as often, where they take a while.
 */
const extractsAtATime = 100;

/** Requests to the receiver that this process makes side by side. */
const noticesAtATime = 10;

export type Common = Pick<WorkerOptions, 'connection' | 'namespace' | 'dataConverter' | 'workerDeploymentOptions'>;

/** Each workflow says whether it stays on its version; the activities of all queues go with it. */
export const versioned = ({
  deploymentVersion: version,
}: WorkerConfig): Pick<WorkerOptions, 'workerDeploymentOptions'> =>
  version === undefined
    ? {}
    : { workerDeploymentOptions: { version, useWorkerVersioning: true, defaultVersioningBehavior: 'PINNED' } };

const graceful = {
  shutdownGraceTime: shutdownGraceMs,
  shutdownForceTime: shutdownForceMs,
  maxHeartbeatThrottleInterval: heartbeatThrottleMs,
  defaultHeartbeatThrottleInterval: heartbeatThrottleMs,
};

export const createControlWorker = (
  common: Common,
  { production }: WorkerConfig,
  deps: ActivityDeps,
): Promise<Worker> =>
  Worker.create({
    ...common,
    ...graceful,
    ...workflowCode(production, common),
    taskQueue: taskQueues.control,
    activities: createControlActivities(deps),
  });

/**
 * Beside a control worker. Its slots are its own: while BigQuery takes its time with many dumps' tables, receipts of others
 * do not wait for a slot, and they must not, as they are only valid for a while.
 */
export const createExtractWorker = (common: Common, deps: ActivityDeps): Promise<Worker> =>
  Worker.create({
    ...common,
    ...graceful,
    taskQueue: taskQueues.extract,
    activities: createExtractActivities(deps),
    maxConcurrentActivityTaskExecutions: extractsAtATime,
  });

/** A control worker with a receiver. Its slots are its own: receivers that hang hold up nothing but notices. */
export const createNoticeWorker = (common: Common, webhook: Webhook): Promise<Worker> =>
  Worker.create({
    ...common,
    ...graceful,
    taskQueue: taskQueues.notice,
    activities: createNoticeActivities(webhook),
    maxConcurrentActivityTaskExecutions: noticesAtATime,
  });

export const createCopyWorker = (
  common: Common,
  { copyActivities }: WorkerConfig,
  deps: ActivityDeps,
): Promise<Worker> =>
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

/** What runs until it is told to stop. */
export interface Stoppable {
  run(): Promise<void>;
  /** Telling it twice, or after its end, does no harm. */
  stop(): void;
}

export const stoppable = (worker: Worker): Stoppable => ({
  run: () => runOrFail(worker),
  stop: () => {
    if (worker.getState() === 'RUNNING') worker.shutdown();
  },
});

/**
 * A worker whose polls Temporal refuses fails after a minute, and of one that polls for activities only, the SDK's promise
 * is then never settled (1.24): its process would live on and do nothing.
 */
async function runOrFail(worker: Worker): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const failed = new Promise<never>((_resolve, reject) => {
    timer = setInterval(() => {
      if (worker.getState() === 'FAILED') reject(new Error(`A worker has failed: the log says why.`));
    }, failedWorkerCheckMs);
  });
  try {
    await Promise.race([worker.run(), failed]);
  } finally {
    clearInterval(timer);
  }
}

/**
 * Aborted by SIGTERM and its like, or when the process that started this one lets go of it. The SDK's runtime must be told to
 * leave signals alone: it would tell only its own workers, and be deaf to all that comes before they run.
 */
export function stopSignal(): AbortSignal {
  const stopping = new AbortController();
  const events = ['SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGUSR2', 'disconnect'];
  // Once: a second signal ends the process, and who listens for the parent's end would keep it.
  const stop = (): void => {
    for (const event of events) process.off(event, stop);
    stopping.abort();
  };
  for (const event of events) process.on(event, stop);
  // Let go of already. Without a parent it is undefined.
  if ((process.connected as boolean | undefined) === false) stop();
  return stopping.signal;
}

/** Until told to stop. Where one ends, however it does, all are stopped. */
export async function runTogether(parts: readonly Stoppable[], stopping: AbortSignal): Promise<void> {
  const stop = (): void => {
    for (const part of parts) part.stop();
  };
  stopping.addEventListener('abort', stop);
  const runs = parts.map((part) => part.run());
  if (stopping.aborted) stop();
  await Promise.race(runs).catch(() => {});
  stop();
  await Promise.allSettled(runs);
  await Promise.all(runs);
}
