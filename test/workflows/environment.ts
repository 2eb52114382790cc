/** What workflow tests share: a Temporal server, a worker with scripted activities, and a destination to talk to. */
import path from 'node:path';
import type { Client, WorkflowHandle } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import {
  bundleWorkflowCode,
  DefaultLogger,
  Runtime,
  Worker,
  type WorkflowBundleWithSourceMap,
} from '@temporalio/worker';
import { startTimeSkippingServer } from '../../sandbox/temporal-server';
import type { Activities } from '../../src/activities';
import { Destinations } from '../../src/client/destinations';
import {
  destinationWorkflowId,
  taskQueues,
  type AccountId,
  type DestinationStatus,
  type FailureDetails,
  type FailureType,
  type StagedTable,
} from '../../src/contract';
import type { DestinationInput } from '../../src/dump/inputs';
import { registerSearchAttributes } from '../../src/search-attributes';
import type { destination } from '../../src/workflows';
import { destinationStatusQuery, modellingRunSucceededSignal } from '../../src/workflows/messages';
import { eventually } from '../eventually';

export const customer: DestinationInput = {
  roleArn: 'arn:aws:iam::111122223333:role/dreamdata-data-platform',
  bucket: 'acme-data-platform',
  tables: ['companies', 'events'],
};

/** A destination workflow of its own for each test: time is shared, state is not. */
export const newAccount = (): AccountId => `acc_${Math.random().toString(36).slice(2, 10)}` as AccountId;

export const run = (runId: string, finishedAt: string | Date) => ({
  runId,
  finishedAt,
  dataset: 'vendor-prod.data_platform',
});

export const staged = (shardCount: number): StagedTable => ({
  stagingBucket: 'vendor-staging-eu',
  stagingPrefix: 'somewhere/1/',
  shardCount,
  sizeBytes: shardCount * 1000,
});

/** A failure as the real activities throw it. */
export function needsAttention(type: FailureType): ApplicationFailure {
  const details: FailureDetails = { problem: `${type}.`, remedy: 'mend it' };
  return ApplicationFailure.create({ type, message: `${type}: mend it`, nonRetryable: true, details: [details] });
}

/** Activities by type, each recorded by a line when it begins. A test replaces those that it is about. */
export function scripted(replaced: Partial<Activities> = {}): { activities: Activities; calls: string[] } {
  const calls: string[] = [];
  const proof = {
    assumedRoleArn: 'arn:aws:sts::111122223333:assumed-role/dreamdata-data-platform/test',
    awsAccountId: '111122223333',
    expiresAt: '2030-01-01T00:00:00.000Z',
  };
  const plain: Activities = {
    checkAccess: async () => proof,
    assumeCustomerRole: async () => proof,
    extractTable: async () => staged(3),
    copyShards: async ({ range }) => ({ shards: range.count, bytes: range.count * 1000 }),
    uploadSchema: async () => {},
    commitReceipt: async () => 'receipt.json',
    clearStaging: async () => {},
    noticesAreOn: async () => false,
    askForChecks: async () => 0,
    sendNotice: async () => {},
    ...replaced,
  };
  const recorded: Activities = {
    checkAccess: (input) => (calls.push('checkAccess'), plain.checkAccess(input)),
    assumeCustomerRole: (input) => (calls.push('assumeCustomerRole'), plain.assumeCustomerRole(input)),
    extractTable: (input) => (calls.push(`extractTable ${input.table}`), plain.extractTable(input)),
    copyShards: (input) => (
      calls.push(`copyShards ${input.table} ${input.range.first}+${input.range.count}`),
      plain.copyShards(input)
    ),
    uploadSchema: (input) => (calls.push(`uploadSchema ${input.table}`), plain.uploadSchema(input)),
    commitReceipt: (input) => (calls.push('commitReceipt'), plain.commitReceipt(input)),
    clearStaging: () => (calls.push('clearStaging'), plain.clearStaging()),
    askForChecks: () => (calls.push('askForChecks'), plain.askForChecks()),
    // Not steps of a dump: tests of notices look at what was sent.
    noticesAreOn: () => plain.noticesAreOn(),
    sendNotice: (notice) => plain.sendNotice(notice),
  };
  return { activities: recorded, calls };
}

/** A promise that a test keeps for as long as it likes. */
export function gate(): { opened: Promise<void>; open: () => void } {
  let open: () => void = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

export class WorkflowTestEnvironment {
  private constructor(
    readonly server: TestWorkflowEnvironment,
    private readonly workflowBundle: WorkflowBundleWithSourceMap,
  ) {}

  /** With interceptors of the workflows from these modules, the same for all servers of a test file. */
  static async start(
    startServer = startTimeSkippingServer,
    interceptorModules: string[] = [],
  ): Promise<WorkflowTestEnvironment> {
    const bundle = await (prepared ??= prepare(interceptorModules));
    const server = await startServer(() => {});
    await registerSearchAttributes(server.connection, 'default');
    return new WorkflowTestEnvironment(server, bundle);
  }

  get client(): Client {
    return this.server.client;
  }

  get destinations(): Destinations {
    return new Destinations(this.client);
  }

  /** The server's time goes on by itself only while a result is awaited: a run is announced as of that time. */
  async announce(account: AccountId, runId: string, finishedAt?: Date): Promise<void> {
    const now = new Date(await this.server.currentTimeMs());
    await this.client.workflow.signalWithStart<typeof destination, [unknown]>('destination', {
      taskQueue: taskQueues.control,
      workflowId: destinationWorkflowId(account),
      args: [],
      signal: modellingRunSucceededSignal,
      signalArgs: [run(runId, (finishedAt ?? now).toISOString())],
    });
  }

  destinationOf(account: AccountId): WorkflowHandle<typeof destination> {
    return this.client.workflow.getHandle<typeof destination>(destinationWorkflowId(account));
  }

  statusOf(account: AccountId): Promise<DestinationStatus> {
    return this.destinationOf(account).query(destinationStatusQuery);
  }

  /** Waits for `count` dumps to have ended, and lets time pass for those that wait for a minute of their own. */
  async ended(account: AccountId, count: number): Promise<DestinationStatus['recentDumps']> {
    const enough = ({ recentDumps }: DestinationStatus): boolean => recentDumps.length >= count;
    const status = await eventually(async () => {
      const now = await this.statusOf(account);
      if (!enough(now) && now.currentDump === undefined) await this.server.sleep('10 seconds');
      return now;
    }, enough);
    return status.recentDumps;
  }

  /** Throws where the workflow would not do again what its history says. */
  async replay(handle: WorkflowHandle): Promise<void> {
    const { workflowBundle } = this;
    await Worker.runReplayHistory({ workflowBundle }, await handle.fetchHistory(), handle.workflowId);
  }

  /** Runs `test` while workers do the scripted activities. */
  async withWorker(activities: Activities, test: () => Promise<void>): Promise<void> {
    const connection = this.server.nativeConnection;
    const { workflowBundle } = this;
    const { extractTable, copyShards, sendNotice, ...control } = activities;
    const workers = await Promise.all([
      Worker.create({ connection, taskQueue: taskQueues.control, workflowBundle, activities: control }),
      Worker.create({ connection, taskQueue: taskQueues.extract, activities: { extractTable } }),
      Worker.create({ connection, taskQueue: taskQueues.copy, activities: { copyShards } }),
      Worker.create({ connection, taskQueue: taskQueues.notice, activities: { sendNotice } }),
    ]);
    const [controlWorker, extractWorker, copyWorker, noticeWorker] = workers;
    await controlWorker.runUntil(extractWorker.runUntil(copyWorker.runUntil(noticeWorker.runUntil(test()))));
  }

  stop(): Promise<void> {
    return this.server.teardown();
  }
}

/** Failures that a test stages are warnings to the SDK; its reader wants to see only what is wrong with the test. */
const logger = new DefaultLogger('ERROR');

let prepared: Promise<WorkflowBundleWithSourceMap> | undefined;

/** Once for all servers of a test file. */
function prepare(workflowInterceptorModules: string[]): Promise<WorkflowBundleWithSourceMap> {
  Runtime.install({ logger, telemetryOptions: { logging: { filter: 'ERROR', forward: {} } } });
  const workflowsPath = path.join(__dirname, '..', '..', 'src', 'workflows');
  return bundleWorkflowCode({ workflowsPath, workflowInterceptorModules, logger });
}
