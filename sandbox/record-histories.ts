/**
 * `npm run histories [-- PATH …]`: plays every path that a workflow can take, or those that are named, on the sandbox and
 * keeps its histories in `test/histories`, for the replay test. Record from released code, never from the change that is
 * under test; what older code recorded stays, to show that it still replays.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Client, Connection, WorkflowFailedError, type WorkflowHandle } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { Destinations, type DestinationReport } from '../src/client/destinations';
import {
  accessRound as accessRoundNames,
  destinationWorkflowId,
  dumpWorkflowId,
  noticeWorkflowId,
  taskQueues,
  type AccountId,
  type BucketName,
  type FolderName,
  type Notice,
} from '../src/contract';
import { parseAccountId, parseBucketName } from '../src/dump/inputs';
import { folderName } from '../src/dump/keys';
import { permissionPolicy, trustPolicy } from '../src/dump/policies';
import type { accessRound, destination, notice } from '../src/workflows';
import { checkAccessSignal } from '../src/workflows/messages';
import { chosen, runToEnd } from './arguments';
import type { CustomerAccount } from './aws';
import { projectFolder } from './processes';
import { loadBucket, location, project, Sandbox, stagingBucket } from './sandbox';
import { startTimeSkippingServer } from './temporal-server';
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

  /** Of those that are disconnected as soon as their run is announced, one whose dump is just being started. */
  async startingAndDisconnected(): Promise<void> {
    const customersMax = 200;
    for (let number = 1; number <= customersMax; number += 1) {
      const { accountId } = await this.connected(`starting-${number}`);
      await this.run(accountId, 'run-1');
      await this.destinations.disconnect(accountId);
      const workflowId = destinationWorkflowId(accountId);
      const { events } = await this.client.workflow.getHandle(workflowId).fetchHistory();
      const kinds = (events ?? []).flatMap((event) => {
        if (event.startChildWorkflowExecutionInitiatedEventAttributes) return ['initiated'];
        if (event.workflowExecutionUpdateAcceptedEventAttributes) return ['update'];
        return event.childWorkflowExecutionStartedEventAttributes ? ['started'] : [];
      });
      if (!kinds.join().startsWith('update,initiated,update')) continue;
      await this.ended(accountId, 1);
      return this.keep('destination-disconnected-starting', workflowId);
    }
    throw new Error(`None of ${customersMax} dumps was being started when its customer was disconnected`);
  }

  async parkedAndAbandoned(): Promise<void> {
    const { accountId } = await this.parked('abandoned');
    await this.destinations.abandon(accountId, 'the customer has left');
    await this.ended(accountId, 1);
    await this.keepDump('dump-abandoned', accountId);
    await this.keep('destination-abandoned', destinationWorkflowId(accountId));
  }

  async extractingAndAbandoned(): Promise<void> {
    const { accountId } = await this.connected('extracting');
    await this.run(accountId, 'run-1');
    await this.until(accountId, ({ dump }) => dump?.tables['companies']?.state === 'extracting');
    await this.destinations.abandon(accountId);
    await this.ended(accountId, 1);
    await this.keepDump('dump-abandoned-extracting', accountId);
  }

  async parkedAndTerminated(): Promise<void> {
    const { accountId, customer } = await this.parked('terminated');
    await customer.setTrust(trustPolicy(accountId));
    const { currentDump } = (await this.destinations.status(accountId)).destination;
    await this.client.workflow.getHandle(currentDump?.workflowId ?? '').terminate('by mistake');
    await this.run(accountId, 'run-2');
    await this.ended(accountId, 2);
    await this.keep('destination-terminated', destinationWorkflowId(accountId));
  }

  async pausedAndResumed(): Promise<void> {
    const { accountId } = await this.connected('paused');
    await this.destinations.pause(accountId);
    await this.run(accountId, 'run-1');
    await this.destinations.resume(accountId);
    await this.ended(accountId, 1);
    await this.destinations.dumpNow(accountId);
    await this.ended(accountId, 2);
    await this.keep('destination-paused', destinationWorkflowId(accountId));
  }

  async checked(): Promise<void> {
    const { accountId, customer } = await this.connected('checked');
    await customer.setTrust(trustPolicy(somebodyElse));
    const check = this.destinations.check(accountId);
    await this.until(accountId, ({ destination: { access } }) => access?.state === 'checking');
    await customer.setTrust(trustPolicy(accountId));
    await check;
    await this.keep('destination-checked', destinationWorkflowId(accountId));
  }

  /** Two checks are refused at once, then one alone; a dump is delivered while the refusal stands, and the state changes. */
  async refusedAndDelivered(): Promise<void> {
    const { accountId, customer } = await this.connected('refused');
    await customer.setTrust(trustPolicy(somebodyElse));
    await Promise.all([this.destinations.check(accountId), this.destinations.check(accountId)]);
    await this.destinations.check(accountId);
    await customer.setTrust(trustPolicy(accountId));
    await this.run(accountId, 'run-1');
    await this.ended(accountId, 1);
    await this.destinations.pause(accountId);
    await this.until(accountId, ({ destination: { paused } }) => paused);
    await this.keep('destination-refused-and-delivered', destinationWorkflowId(accountId));
  }

  /** Refused by a signal, told, refused again while a person asks; a dump is delivered, and access is there again. */
  async watched(): Promise<void> {
    const { accountId, customer } = await this.connected('watched');
    const handle = this.client.workflow.getHandle<typeof destination>(destinationWorkflowId(accountId));
    const isChecking = ({ destination: { access } }: DestinationReport): boolean => access?.state === 'checking';
    await customer.setTrust(trustPolicy(somebodyElse));
    await handle.signal(checkAccessSignal);
    await this.until(accountId, ({ destination: { state } }) => state === 'AccessRefused');
    await handle.signal(checkAccessSignal);
    await this.until(accountId, isChecking);
    await this.destinations.check(accountId);
    await customer.setTrust(trustPolicy(accountId));
    await this.run(accountId, 'run-1');
    await this.until(accountId, ({ destination: { state } }) => state === 'Delivered');
    await this.destinations.pause(accountId);
    await this.until(accountId, ({ destination: { paused } }) => paused);
    await this.keep('destination-watched', handle.workflowId);
  }

  /** By a signal that comes while other settings are proven, before a person asks. */
  async watchedInTurn(): Promise<void> {
    const { accountId, customer } = await this.connected('in-turn');
    const handle = this.client.workflow.getHandle<typeof destination>(destinationWorkflowId(accountId));
    await customer.setTrust(trustPolicy(somebodyElse));
    const other = { roleArn: customer.roleArn, bucket: bucketOf('in-turn'), path: 'elsewhere' };
    const connecting = this.destinations.connect(accountId, other);
    await this.until(accountId, ({ destination: { access } }) => access?.state === 'checking');
    await handle.signal(checkAccessSignal);
    await customer.setTrust(trustPolicy(accountId));
    await connecting;
    await this.destinations.check(accountId);
    await this.keep('destination-watched-in-turn', handle.workflowId);
  }

  /** Its staging is cleared by hand while it waits: what is not copied yet is gone. */
  async stagingGone(): Promise<void> {
    const { accountId, customer } = await this.connected('gone', ['companies']);
    await customer.setPermissions(permissionPolicy(parseBucketName('another-bucket')));
    await this.run(accountId, 'run-1');
    await this.until(accountId, ({ dump }) => dump !== undefined && isParked(dump));
    await this.sandbox.storage.bucket(stagingBucket).deleteFiles({ prefix: `${accountId}/` });
    await customer.setPermissions(permissionPolicy(bucketOf('gone')));
    await this.destinations.retry(accountId);
    await this.ended(accountId, 1);
    await this.keepDump('dump-failed', accountId);
    await this.keep('destination-failed', destinationWorkflowId(accountId));
  }

  /** After hours that the time-skipping server skips; of destinations it has no list to give. */
  async givenUp(): Promise<void> {
    const server = await startTimeSkippingServer(console.log);
    const receiver = await startReceiver(500);
    const worker = await this.sandbox.startWorker({ TEMPORAL_ADDRESS: server.address, ...noticesTo(receiver) });
    const { workflow } = server.client;
    const { workflowId: roundId } = accessRoundNames;
    const ofRound = { taskQueue: taskQueues.control, workflowId: roundId };
    await failsAs('ServiceError', workflow.execute<typeof accessRound>('accessRound', ofRound));
    await this.keep('access-round-given-up', workflow.getHandle(roundId));

    const account = parseAccountId('untold');
    const now = new Date();
    const noticeId = noticeWorkflowId(account, folderName(now), 1);
    const told: Notice = { type: 'dump.recovered', timestamp: now.toISOString(), data: { account } };
    const ofNotice = { taskQueue: taskQueues.control, workflowId: noticeId, args: [told] as [Notice] };
    await failsAs('NoticeNotTaken', workflow.execute<typeof notice>('notice', ofNotice));
    await this.keep('notice-given-up', workflow.getHandle(noticeId));
    await worker.stop();
    await server.teardown();
  }

  /** Asks all destinations that the others have left. */
  async round(): Promise<void> {
    const { workflowId } = accessRoundNames;
    const options = { workflowId, taskQueue: taskQueues.control };
    await this.client.workflow.execute<typeof accessRound>('accessRound', options);
    await this.keep('access-round', workflowId);
  }

  async toldByNotices(): Promise<void> {
    const { accountId, customer } = await this.parked('told');
    const first = noticeWorkflowId(accountId, await this.folderOf(accountId), 1);
    // Notices gather what fails for some seconds.
    while (!(await this.exists(first))) await delay(200);
    await customer.setTrust(trustPolicy(accountId));
    await this.destinations.retry(accountId);
    await this.ended(accountId, 1);
    await this.keepDump('dump-told', accountId);
    await this.client.workflow.getHandle(first).result();
    await this.keep('notice', first);
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
    const first = this.client.workflow.getHandle(handle.workflowId, handle.firstExecutionRunId);
    await this.keep('destination-continued-as-new', first);
  }

  private async connected(account: string, tables = ['companies', 'revenue']) {
    const accountId = parseAccountId(account);
    const bucket = bucketOf(account);
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

  private exists(workflowId: string): Promise<boolean> {
    const described = this.client.workflow.getHandle(workflowId).describe();
    return described.then(
      () => true,
      () => false,
    );
  }

  /** Of the account's first dump, ended or not. */
  private async folderOf(accountId: AccountId): Promise<FolderName> {
    const { recentDumps, currentDump } = (await this.destinations.status(accountId)).destination;
    const dumpFolder = recentDumps[0]?.folder ?? currentDump?.folder;
    if (dumpFolder === undefined) throw new Error(`Account ${accountId} has no dump`);
    return dumpFolder;
  }

  /** The account's first dump. */
  private async keepDump(name: string, accountId: AccountId): Promise<void> {
    await this.keep(name, dumpWorkflowId(accountId, await this.folderOf(accountId)));
  }

  private async keep(name: string, kept: string | WorkflowHandle): Promise<void> {
    const handle = typeof kept === 'string' ? this.client.workflow.getHandle(kept) : kept;
    const history = await handle.fetchHistory();
    // Stack traces name the folder that this machine has the project in, workers and their task queues the machine.
    const text = JSON.stringify({ workflowId: handle.workflowId, history })
      .replaceAll(`${projectFolder}${path.sep}`, '')
      .replaceAll(`@${os.hostname()}`, '@machine');
    await writeFile(path.join(folder, `${name}.json`), `${text}\n`);
    console.log(`${name}: ${history.events?.length ?? 0} events`);
  }
}

/**
 * None is of a dump that was reset: the SDK replays a history under the id of the run that was reset, so the workflow does
 * not see that it was. `test/end-to-end/receipts.test.ts` has a worker replay one.
 */
const paths = [
  'delivered',
  'parkedAndRetried',
  'parkedAndSuperseded',
  'parkedAndCancelled',
  'startingAndDisconnected',
  'parkedAndAbandoned',
  'extractingAndAbandoned',
  'parkedAndTerminated',
  'pausedAndResumed',
  'tableParkedAndRetried',
  'continuedAsNew',
  'checked',
  'refusedAndDelivered',
  'watched',
  'watchedInTurn',
  'toldByNotices',
  'stagingGone',
  'givenUp',
  'round',
] as const;

/** Answers every notice so. */
async function startReceiver(status: number): Promise<{ url: string }> {
  const server = http.createServer((request, response) => {
    request.resume();
    response.writeHead(status).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` };
}

const noticesTo = ({ url }: { url: string }) => ({
  NOTICE_URL: url,
  NOTICE_SECRET: `whsec_${Buffer.alloc(32).toString('base64')}`,
});

/** What ended otherwise is not the path that was to be recorded. */
async function failsAs(type: string, ended: Promise<unknown>): Promise<void> {
  const error = await ended.catch((caught: unknown) => caught);
  const cause = error instanceof WorkflowFailedError ? error.cause : undefined;
  if (cause instanceof ApplicationFailure && cause.type === type) return;
  throw new Error(`It was to fail as ${type}`, { cause: error });
}

const bucketOf = (account: string): BucketName => parseBucketName(`bucket-of-${account}`);

const isParked = ({ state }: { state: string }): boolean => state === 'NeedsAttention';

/** An extraction hears within two seconds that its dump is given up. */
const jobDelayMs = 3000;

async function main(): Promise<void> {
  const named = process.argv.slice(2);
  const played = named.length === 0 ? paths : chosen('npm run histories', named.join(), paths);
  const sandbox = await Sandbox.start({ ports: 'free', say: console.log, shardRows: 20, jobDelayMs });
  try {
    await mkdir(folder, { recursive: true });
    const { bigquery, storage } = sandbox;
    const seed = { bigquery, storage, dataset, location, loadBucket, seed: 1, scale: 0.01 };
    const receiver = await startReceiver(200);
    await Promise.all([sandbox.startWorker(noticesTo(receiver)), seedWarehouse(seed, () => {})]);
    const address = sandbox.environment['TEMPORAL_ADDRESS'] ?? '';
    const connection = await Connection.connect({ address });
    const client = new Client({ connection });
    const recorder = new Recorder(sandbox, client, new Destinations(client));
    // What is last asks all that there is.
    await Promise.all(played.filter((name) => name !== 'round').map((name) => recorder[name]()));
    if (played.includes('round')) await recorder.round();
    await connection.close();
  } finally {
    await sandbox.stop();
  }
}

runToEnd(main);
