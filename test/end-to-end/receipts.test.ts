/** Receipts only move forward in time, whatever an operator does to a dump in the Temporal UI. */
import type { WorkflowHandle } from '@temporalio/client';
import { WorkflowFailedError } from '@temporalio/client';
import { temporal } from '@temporalio/proto';
import type { CustomerAccount } from '../../sandbox/aws';
import type { AccountId } from '../../src/contract';
import { parseAccountId, parseBucketName } from '../../src/dump/inputs';
import { trustPolicy } from '../../src/dump/policies';
import { commitWithinMs } from '../../src/timing';
import type { dump } from '../../src/workflows';
import { dumpStatusQuery } from '../../src/workflows/messages';
import { eventually } from '../eventually';
import { readJson, type GuideReceipt } from './delivered';
import { dataset, EndToEnd } from './environment';

interface Parked {
  readonly accountId: AccountId;
  readonly customer: CustomerAccount;
  /** Its first dump, which waits for the trust policy to be mended. */
  readonly first: WorkflowHandle<typeof dump>;
}

let endToEnd: EndToEnd;
let toReset: Parked;
let toTerminate: Parked;

beforeAll(async () => {
  endToEnd = await EndToEnd.start({ scale: 0.01, shardRows: 50 });
  await endToEnd.startWorker();
  // Both now: their next dumps wait for the same minute.
  [toReset, toTerminate] = await Promise.all([parked('reset'), parked('terminated')]);
});
afterAll(() => endToEnd?.stop());

async function parked(name: string): Promise<Parked> {
  const accountId = parseAccountId(name);
  const bucket = parseBucketName(`${name}-data`);
  const customer = await endToEnd.sandbox.addCustomer(accountId, bucket, { roleName: name, region: 'us-east-1' });
  await endToEnd.destinations.connect(accountId, { roleArn: customer.roleArn, bucket, tables: ['contacts'] });
  await customer.setTrust(trustPolicy(parseAccountId('somebody-else')));
  await announce(accountId, 'run-1');
  const { destination } = await eventually(
    () => endToEnd.destinations.status(accountId),
    ({ dump: waiting }) => waiting?.state === 'NeedsAttention',
  );
  await customer.setTrust(trustPolicy(accountId));
  const first = endToEnd.client.workflow.getHandle<typeof dump>(destination.currentDump?.workflowId ?? '');
  return { accountId, customer, first };
}

const announce = (accountId: AccountId, runId: string): Promise<void> =>
  endToEnd.destinations.modellingRunSucceeded(accountId, { runId, finishedAt: new Date(), dataset });

const failureOf = (handle: WorkflowHandle<typeof dump>): Promise<unknown> =>
  handle.result().then(
    () => 'it did not fail',
    (error: unknown) => (error instanceof WorkflowFailedError ? error.cause : error),
  );

test('after a terminated dump the next begins when S3 takes no receipt of it any more', async () => {
  const { accountId, first } = toTerminate;
  await first.terminate('by mistake');
  await announce(accountId, 'run-2');
  const next = await endToEnd.ended(accountId, 'run-2');
  expect(next.outcome).toBe('delivered');
  expect(await endToEnd.ended(accountId, 'run-1')).toMatchObject({ outcome: 'failed' });
  const begun = await endToEnd.client.workflow.getHandle(`dump/${accountId}/${next.folder}`).describe();
  const closed = await first.describe();
  expect(Number(begun.startTime) - Number(closed.closeTime)).toBeGreaterThanOrEqual(commitWithinMs);
});

test('a dump that is reset after a newer one writes no receipt', async () => {
  const { accountId, customer, first } = toReset;
  await announce(accountId, 'run-2');
  expect(await endToEnd.ended(accountId, 'run-1')).toMatchObject({ outcome: 'superseded' });
  const { folder, outcome } = await endToEnd.ended(accountId, 'run-2');
  expect(outcome).toBe('delivered');
  const { runId } = await first.describe();
  const { runId: again } = await endToEnd.client.workflowService.resetWorkflowExecution(
    temporal.api.workflowservice.v1.ResetWorkflowExecutionRequest.fromObject({
      namespace: 'default',
      workflowExecution: { workflowId: first.workflowId, runId },
      reason: 'to try it once more',
      requestId: 'reset-1',
      // To its beginning: the first workflow task.
      workflowTaskFinishEventId: 4,
    }),
  );
  const reset = endToEnd.client.workflow.getHandle<typeof dump>(first.workflowId, again);
  const failure = await failureOf(reset);
  expect(failure).toMatchObject({ type: 'Reset', message: expect.stringContaining('dumpNow') as string });
  const receipt = await readJson<GuideReceipt>(customer, 'receipt.json');
  expect(receipt.timestamp.slice(0, 16)).toBe(folder);
  // A worker keeps no workflow that has ended: to answer, it replays this one.
  expect(await reset.query(dumpStatusQuery)).toMatchObject({ state: 'Failed' });
  // It did all else, into its own folder.
  expect((await customer.objects()).some(({ Key }) => !Key.startsWith(folder) && Key !== 'receipt.json')).toBe(true);
  expect(await endToEnd.sandbox.staged()).toEqual([]);
});
