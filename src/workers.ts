/** The workers that the command `worker` is made of, one for each task queue, and what their activities reach the world by. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { Worker, type WorkerOptions } from '@temporalio/worker';
import { createControlActivities, createCopyActivities, createNoticeActivities, type ActivityDeps } from './activities';
import type { WorkerConfig } from './config';
import { taskQueues } from './contract';
import { InvalidInput } from './dump/inputs';
import { S3CustomerBuckets } from './stores/customer-bucket';
import { createBigQuery, createStorage } from './stores/google-clients';
import { GcsStagingBuckets } from './stores/staging-bucket';
import { BigQueryWarehouse } from './stores/warehouse';
import { HttpWebhook, type Webhook } from './stores/webhook';
import { heartbeatThrottleMs, shutdownForceMs, shutdownGraceMs } from './timing';
import { workflowBundlePath } from './workflow-bundle';

export function createDeps(config: WorkerConfig): ActivityDeps {
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

export type Common = Pick<WorkerOptions, 'connection' | 'namespace' | 'dataConverter' | 'workerDeploymentOptions'>;

/** Each workflow says whether it stays on its version; the activities of both queues go with it. */
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

/** Temporal's runtime shuts them all down on SIGTERM and SIGINT; where one fails, the others are shut down too. */
export async function runTogether(workers: readonly Worker[]): Promise<void> {
  const runs = workers.map((worker) => worker.run());
  try {
    await Promise.all(runs);
  } catch (error) {
    for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown();
    await Promise.allSettled(runs);
    throw error;
  }
}
