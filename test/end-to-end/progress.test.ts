/** What is shown of a copy is what S3 has confirmed: never more than what is in the bucket. */
import type { CustomerAccount } from '../../sandbox/aws';
import type { Copied, TableProgress } from '../../src/contract';
import { dumpWorkflowId } from '../../src/contract';
import { parseAccountId, parseBucketName } from '../../src/dump/inputs';
import { eventually } from '../eventually';
import { dataset, EndToEnd } from './environment';
import type { Asked } from './fault-proxy';

const table = 'companies';
const accountId = parseAccountId('acc_progress');

let endToEnd: EndToEnd;
let customer: CustomerAccount;

beforeAll(async () => {
  endToEnd = await EndToEnd.start({ scale: 0.05, shardRows: 500, shardRowsOf: { [table]: 1 } });
  const bucket = parseBucketName('progress-data');
  [customer] = await Promise.all([endToEnd.sandbox.addCustomer(accountId, bucket), endToEnd.startWorker()]);
  await endToEnd.destinations.connect(accountId, { roleArn: customer.roleArn, bucket, tables: [table] });
});
afterAll(() => endToEnd?.stop());

const isPutOfShard = ({ method, path }: Asked): boolean => method === 'PUT' && path.includes(`/${table}_`);

const announce = (runId: string): Promise<void> =>
  endToEnd.destinations.modellingRunSucceeded(accountId, { runId, finishedAt: new Date(), dataset });

/** Of a dump, once it is at work. It may end between two questions. */
async function folderOf(runId: string): Promise<string> {
  const { destination } = await eventually(
    () => endToEnd.destinations.status(accountId),
    ({ destination: { currentDump } }) => currentDump?.runId === runId,
    110_000,
  );
  return destination.currentDump?.folder ?? '';
}

/** What `status` says; nothing before the copy and after it. */
async function shownByStatus(): Promise<Copied | undefined> {
  const { dump } = await endToEnd.destinations.status(accountId);
  const progress: TableProgress | undefined = dump?.tables[table];
  return progress?.state === 'copying' ? progress.copied : undefined;
}

interface WorkflowMetadata {
  readonly currentDetails?: string;
}

/** The shards that the UI's details say. */
async function shownByDetails(): Promise<number | undefined> {
  const { currentDump } = (await endToEnd.destinations.status(accountId)).destination;
  if (currentDump === undefined) return undefined;
  const dump = endToEnd.client.workflow.getHandle(dumpWorkflowId(accountId, currentDump.folder));
  const { currentDetails = '' } = await dump.query<WorkflowMetadata>('__temporal_workflow_metadata');
  const [, shards] = /\| copying \| ([\d,]+) of/.exec(currentDetails) ?? [];
  return shards === undefined ? undefined : Number(shards.replaceAll(',', ''));
}

/** What is in a dump's folder. Asked after what is shown: it only grows. */
async function stored(folder: string): Promise<Copied> {
  const objects = (await customer.objects()).filter(({ Key }) => Key.startsWith(`${folder}/${table}/`));
  return { shards: objects.length, bytes: objects.reduce((sum, { Size = 0 }) => sum + Size, 0) };
}

test('while S3’s answers are held, what is stored and not confirmed is not shown', async () => {
  const confirmed = 40;
  let asked = 0;
  const held = endToEnd.proxies.aws.arm({
    matches: (request) => isPutOfShard(request) && ++asked > confirmed,
    effect: { kind: 'hold', side: 'answer' },
    times: Infinity,
  });
  await announce('run-held');
  const folder = await folderOf('run-held');
  await eventually(shownByStatus, (shown) => shown?.shards === confirmed);
  // All that the worker copies side by side is stored by now, and waits for its answer.
  const { shards, bytes } = await eventually(
    () => stored(folder),
    (found) => found.shards > confirmed,
  );
  const shown = await shownByStatus();
  expect(shown?.shards).toBe(confirmed);
  expect(shown?.bytes).toBeLessThan(bytes);
  expect(await shownByDetails()).toBeLessThanOrEqual(confirmed);
  expect(held.hits.length).toBeGreaterThanOrEqual(shards - confirmed);
  held.release();
  expect((await endToEnd.ended(accountId, 'run-held')).outcome).toBe('delivered');
});

test('at no moment of a copy is more shown than is in the bucket', async () => {
  endToEnd.proxies.aws.latencyMs = (asked) => (isPutOfShard(asked) ? 500 : 0);
  await announce('run-sampled');
  const folder = await folderOf('run-sampled');
  await eventually(shownByStatus, (shown) => shown !== undefined, 110_000);
  const samples: { status: number; details: number; bucket: number }[] = [];
  for (let shown = await shownByStatus(); shown !== undefined; shown = await shownByStatus()) {
    const details = (await shownByDetails()) ?? 0;
    const inBucket = await stored(folder);
    expect(shown.shards).toBeLessThanOrEqual(inBucket.shards);
    expect(shown.bytes).toBeLessThanOrEqual(inBucket.bytes);
    expect(details).toBeLessThanOrEqual(inBucket.shards);
    samples.push({ status: shown.shards, details, bucket: inBucket.shards });
  }
  expect(new Set(samples.map(({ status }) => status)).size).toBeGreaterThan(5);
  expect(samples.some(({ details }) => details > 0)).toBe(true);
  expect((await endToEnd.ended(accountId, 'run-sampled')).outcome).toBe('delivered');
}, 240_000);
