/** A dump that is given up while BigQuery extracts: nothing may write into its staging once that is cleared. */
import { temporal } from '@temporalio/proto';
import { parseAccountId, parseBucketName } from '../../src/dump/inputs';
import { eventually } from '../eventually';
import { dataset, EndToEnd } from './environment';
import type { Armed, Asked } from './fault-proxy';

let endToEnd: EndToEnd;
beforeAll(async () => {
  endToEnd = await EndToEnd.start({ scale: 0.01, shardRows: 50 });
});
afterAll(() => endToEnd?.stop());

const isCancel = ({ path }: Asked): boolean => path.includes('/cancel');
const isListing = ({ method, path }: Asked): boolean => method === 'GET' && path.includes('prefix=');

/** A dump whose extract job goes on until it is released. */
async function extracting(name: string): Promise<Armed> {
  const accountId = parseAccountId(name);
  const bucket = parseBucketName(`${name}-data`);
  const customer = await endToEnd.sandbox.addCustomer(accountId, bucket, { roleName: name });
  await endToEnd.destinations.connect(accountId, { roleArn: customer.roleArn, bucket, tables: ['contacts'] });
  const job = endToEnd.proxies.bigquery.arm({
    matches: ({ method, path }) => method === 'GET' && path.includes('/jobs/') && path.includes(name),
    effect: { kind: 'rewrite', change: (answer) => answer.replace(/"state":"\w+"/, '"state":"RUNNING"') },
    times: Infinity,
  });
  await endToEnd.destinations.modellingRunSucceeded(accountId, { runId: 'run-1', finishedAt: new Date(), dataset });
  await job.hit;
  return job;
}

test('its extract job is cancelled before its staging is cleared', async () => {
  const worker = await endToEnd.startWorker();
  const job = await extracting('abandoned');
  const cancel = endToEnd.proxies.bigquery.arm({ matches: isCancel, effect: { kind: 'hold', side: 'request' } });
  await endToEnd.destinations.abandon('abandoned');
  await eventually(
    async () => cancel.hits.length,
    (count) => count > 0,
  );
  const { exchanges } = endToEnd.proxies.storage;
  expect(exchanges.filter(({ asked }) => isListing(asked))).toEqual([]);
  job.release();
  cancel.release();
  expect(await endToEnd.ended('abandoned', 'run-1')).toMatchObject({ outcome: 'abandoned' });
  expect(exchanges.filter(({ asked }) => isListing(asked))).not.toEqual([]);
  expect(await endToEnd.sandbox.staged()).toEqual([]);
  await worker.stop();
});

test('a worker that has died holds it up until its heartbeats are missed, and no longer', async () => {
  const worker = await endToEnd.startWorker();
  const job = await extracting('orphaned');
  await endToEnd.startWorker();
  worker.kill('SIGKILL');
  const workflowId = await endToEnd.destinations.abandon('orphaned');
  expect(await endToEnd.ended('orphaned', 'run-1')).toMatchObject({ outcome: 'abandoned' });
  const { events } = await endToEnd.client.workflow.getHandle(workflowId).fetchHistory();
  const timeouts = (events ?? []).flatMap(({ activityTaskTimedOutEventAttributes: timedOut }) => timedOut ?? []);
  expect(timeouts).toMatchObject([
    {
      failure: { timeoutFailureInfo: { timeoutType: temporal.api.enums.v1.TimeoutType.TIMEOUT_TYPE_HEARTBEAT } },
      retryState: temporal.api.enums.v1.RetryState.RETRY_STATE_CANCEL_REQUESTED,
    },
  ]);
  job.release();
});
