/**
 * `npm run histories`: plays every path that a workflow can take on the sandbox and keeps its histories in
 * `test/histories`, for the replay test. Record from released code, never from the change that is under test.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Client, Connection, type WorkflowHandle } from '@temporalio/client';
import { Destinations, type DestinationReport } from '../src/client/destinations';
import { destinationWorkflowId, taskQueues, type AccountId } from '../src/contract';
import { parseAccountId, parseBucketName } from '../src/dump/inputs';
import { trustPolicy } from '../src/dump/policies';
import type { destination } from '../src/workflows';
import type { CustomerAccount } from './aws';
import { projectFolder } from './processes';
import { loadBucket, location, project, Sandbox } from './sandbox';
import { seedWarehouse } from './warehouse-seed';

const folder = path.join(projectFolder, 'test', 'histories');
const dataset = 'data_platform';
const somebodyElse = parseAccountId('somebody-else');

class Recorder {
  constructor(
    private readonly sandbox: Sandbox,
    private readonly client: Client,
    private readonly destinations: Destinations,
  ) {}

  async delivered(): Promise<void> {
    const { accountId } = await this.connected('delivered');
    await this.run(accountId, 'run-1');
    await this.ended(accountId, 1);
    await this.keepDump('dump-delivered', accountId);
    await this.keep('destination-delivered', destinationWorkflowId(accountId));
  }

  async parkedAndRetried(): Promise<void> {
    const { accountId, customer } = await this.parked('retried');
    await customer.setTrust(trustPolicy(accountId));
    await this.destinations.retry(accountId);
    await this.ended(accountId, 1);
    await this.keepDump('dump-parked-and-retried', accountId);
  }

  async parkedAndSuperseded(): Promise<void> {
    const { accountId, customer } = await this.parked('superseded');
    await customer.setTrust(trustPolicy(accountId));
    await this.run(accountId, 'run-2');
    await this.ended(accountId, 2);
    await this.keepDump('dump-parked-and-superseded', accountId);
    await this.keep('destination-superseded', destinationWorkflowId(accountId));
  }

  async parkedAndCancelled(): Promise<void> {
    const { accountId } = await this.parked('cancelled');
    await this.destinations.disconnect(accountId);
    await this.keepDump('dump-parked-and-cancelled', accountId);
    await this.keep('destination-disconnected', destinationWorkflowId(accountId));
  }

  async tableParkedAndRetried(): Promise<void> {
    const { accountId } = await this.connected('table', ['companies', 'late']);
    await this.run(accountId, 'run-1');
    await this.until(accountId, ({ dump }) => dump?.tables['companies']?.state === 'delivered' && isParked(dump));
    await this.sandbox.bigquery.dataset(dataset).createTable('late', { schema: 'id' });
    await this.run(accountId, 'run-2');
    await this.ended(accountId, 2);
    await this.keepDump('dump-table-parked', accountId);
  }

  async continuedAsNew(): Promise<void> {
    const accountId = parseAccountId('continued');
    const handle = await this.client.workflow.start<typeof destination>('destination', {
      taskQueue: taskQueues.control,
      workflowId: destinationWorkflowId(accountId),
      args: [{ historyEventsMax: 25 }],
    });
    await this.connected('continued');
    await this.run(accountId, 'run-1');
    for (const runId of ['run-2', 'run-3', 'run-4']) await this.run(accountId, runId);
    await this.ended(accountId, 2);
    await this.keep('destination-continued-as-new', handle.workflowId, handle.firstExecutionRunId);
  }

  private async connected(account: string, tables = ['companies', 'revenue']) {
    const accountId = parseAccountId(account);
    const bucket = parseBucketName(`bucket-of-${account}`);
    const customer: CustomerAccount = await this.sandbox.addCustomer(accountId, bucket, { roleName: account });
    await this.destinations.connect(accountId, { roleArn: customer.roleArn, bucket, tables });
    return { accountId, customer };
  }

  private async parked(account: string) {
    const { accountId, customer } = await this.connected(account);
    await customer.setTrust(trustPolicy(somebodyElse));
    await this.run(accountId, 'run-1');
    await this.until(accountId, ({ dump }) => dump !== undefined && isParked(dump));
    return { accountId, customer };
  }

  private run(accountId: AccountId, runId: string): Promise<void> {
    const run = { runId, finishedAt: new Date(), dataset: `${project}.${dataset}` };
    return this.destinations.modellingRunSucceeded(accountId, run);
  }

  private ended(accountId: AccountId, count: number): Promise<void> {
    return this.until(accountId, ({ destination: { recentDumps } }) => recentDumps.length >= count);
  }

  private async until(accountId: AccountId, holds: (report: DestinationReport) => boolean): Promise<void> {
    while (!holds(await this.destinations.status(accountId))) await delay(200);
  }

  /** The account's first dump. */
  private async keepDump(name: string, accountId: AccountId): Promise<void> {
    const { recentDumps } = (await this.destinations.status(accountId)).destination;
    await this.keep(name, `dump/${accountId}/${recentDumps[0]?.folder ?? ''}`);
  }

  private async keep(name: string, workflowId: string, runId?: string): Promise<void> {
    const handle: WorkflowHandle = this.client.workflow.getHandle(workflowId, runId);
    const history = await handle.fetchHistory();
    // Stack traces name the folder that this machine has the project in.
    const text = JSON.stringify({ workflowId, history }).replaceAll(`${projectFolder}${path.sep}`, '');
    await writeFile(path.join(folder, `${name}.json`), `${text}\n`);
    console.log(`${name}: ${history.events?.length ?? 0} events`);
  }
}

const isParked = ({ state }: { state: string }): boolean => state === 'NeedsAttention';

async function main(): Promise<void> {
  const sandbox = await Sandbox.start({ ports: 'free', say: console.log, shardRows: 20, jobDelayMs: 100 });
  try {
    await mkdir(folder, { recursive: true });
    const { bigquery, storage } = sandbox;
    const seed = { bigquery, storage, dataset, location, loadBucket, seed: 1, scale: 0.01 };
    await Promise.all([sandbox.startWorker(), seedWarehouse(seed, () => {})]);
    const address = sandbox.environment['TEMPORAL_ADDRESS'] ?? '';
    const connection = await Connection.connect({ address });
    const client = new Client({ connection });
    const recorder = new Recorder(sandbox, client, new Destinations(client));
    await Promise.all([
      recorder.delivered(),
      recorder.parkedAndRetried(),
      recorder.parkedAndSuperseded(),
      recorder.parkedAndCancelled(),
      recorder.tableParkedAndRetried(),
      recorder.continuedAsNew(),
    ]);
    await connection.close();
  } finally {
    await sandbox.stop();
  }
}

main().then(
  // The servers' handles would keep the process for a while.
  () => process.exit(),
  (error: unknown) => {
    console.error(error);
    process.exit(1);
  },
);
