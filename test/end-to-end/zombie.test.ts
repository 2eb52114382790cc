/** An attempt that was given up on goes on later: its process stalled, or the network held what it had sent. It harms nothing. */
import type { CustomerAccount } from '../../sandbox/aws';
import type { AccountId, BucketName } from '../../src/contract';
import { parseAccountId, parseBucketName } from '../../src/dump/inputs';
import { eventually } from '../eventually';
import { compareRows, keysIn, readJson, type GuideReceipt } from './delivered';
import { dataset, EndToEnd } from './environment';
import { FaultProxy, type Asked } from './fault-proxy';

const tables = ['companies', 'contacts'];
/** What waits for a stalled process waits in turn: for its heartbeats, its answers, its workflow tasks; then for a minute. */
const timeoutMs = 280_000;

let endToEnd: EndToEnd;
/** Before the worker that becomes a zombie, and before no other. */
let proxy: FaultProxy;

beforeAll(async () => {
  endToEnd = await EndToEnd.start({ scale: 0.02, shardRows: 20 });
});
beforeEach(async () => {
  proxy = await FaultProxy.start(endToEnd.sandbox.environment['AWS_ENDPOINT_URL'] ?? '');
});
afterEach(() => proxy.stop());
afterAll(() => endToEnd?.stop());

interface Customer {
  readonly accountId: AccountId;
  readonly bucket: BucketName;
  readonly account: CustomerAccount;
}

async function newCustomer(name: string): Promise<Customer> {
  const accountId = parseAccountId(name);
  const bucket = parseBucketName(`${name}-data`);
  const account = await endToEnd.sandbox.addCustomer(accountId, bucket, { roleName: name, region: 'us-east-1' });
  return { accountId, bucket, account };
}

const announce = ({ accountId }: Customer, runId: string): Promise<void> =>
  endToEnd.destinations.modellingRunSucceeded(accountId, { runId, finishedAt: new Date(), dataset });

const isPutOf =
  (like: RegExp) =>
  ({ method, path }: Asked): boolean =>
    method === 'PUT' && like.test(path);

/** What is in the bucket, and what it is: a zombie may store the same again, nothing else. */
const contents = async ({ account }: Customer): Promise<Record<string, string | undefined>> =>
  Object.fromEntries((await account.objects()).map(({ Key, ETag }) => [Key, ETag]));

async function expectReceiptOf(customer: Customer, folder: string): Promise<void> {
  const receipt = await readJson<GuideReceipt>(customer.account, 'receipt.json');
  expect(receipt.timestamp.slice(0, 16)).toBe(folder);
  for (const [table, promised] of Object.entries(receipt.tables)) {
    expect(await keysIn(customer.account, promised.folder)).toHaveLength(promised.total_file_count);
    const difference = await compareRows(customer.account, promised, endToEnd.parquetFile(table));
    expect(difference).toMatchObject({ missing: 0, unexpected: 0 });
  }
}

/** Delivers a run and the next, whatever is the matter with the worker that began the first. */
async function deliveredByAnother(customer: Customer): Promise<string> {
  expect(await endToEnd.ended(customer.accountId, 'run-1')).toMatchObject({ outcome: 'delivered' });
  await announce(customer, 'run-2');
  const { folder, outcome } = await endToEnd.ended(customer.accountId, 'run-2');
  expect(outcome).toBe('delivered');
  return folder;
}

const connect = ({ accountId, account, bucket }: Customer) =>
  endToEnd.destinations.connect(accountId, { roleArn: account.roleArn, bucket, tables });

test(
  'a receipt that the network held back until a newer one was there is refused by S3',
  async () => {
    const customer = await newCustomer('held-receipt');
    const late = proxy.arm({ matches: isPutOf(/receipt\.json/), effect: { kind: 'deliver late' } });
    const killed = await endToEnd.startWorker({ AWS_ENDPOINT_URL: proxy.url });
    await connect(customer);
    await announce(customer, 'run-1');
    await late.hit;
    killed.kill('SIGKILL');
    const worker = await endToEnd.startWorker();
    const folder = await deliveredByAnother(customer);
    const before = await contents(customer);

    late.release();
    const put = await eventually(
      async () => proxy.recorded.find(isPutOf(/receipt\.json/)),
      (recorded) => recorded !== undefined,
    );
    expect(put).toMatchObject({ status: 403, answer: expect.stringContaining('Request has expired') as string });
    await worker.stop();
    expect(await contents(customer)).toEqual(before);
    await expectReceiptOf(customer, folder);
  },
  timeoutMs,
);

test(
  'a stalled process that goes on after others have finished its dump and the next changes nothing',
  async () => {
    const customer = await newCustomer('stalled');
    const late = proxy.arm({ matches: isPutOf(/companies_0{11}5/), effect: { kind: 'deliver late' } });
    // One activity at a time: it polls for no more while it stalls.
    const one = { AWS_ENDPOINT_URL: proxy.url, COPY_ACTIVITIES: '1', COPY_SHARDS_IN_FLIGHT: '2' };
    const [stalled, control] = await Promise.all([
      endToEnd.startWorker(one, 'copy'),
      endToEnd.startWorker({}, 'control'),
    ]);
    await connect(customer);
    await announce(customer, 'run-1');
    await late.hit;
    stalled.kill('SIGSTOP');
    const copying = await endToEnd.startWorker({}, 'copy');
    const folder = await deliveredByAnother(customer);
    const before = await contents(customer);

    // What it was about to do it does now, and tries to go on with the dump that it believes in.
    stalled.kill('SIGCONT');
    late.release();
    await eventually(
      async () => proxy.recorded.find(isPutOf(/companies_0{11}5/)),
      (recorded) => recorded?.status === 200,
    );
    await Promise.all([stalled.stop(), control.stop(), copying.stop()]);
    expect(await contents(customer)).toEqual(before);
    await expectReceiptOf(customer, folder);
    expect(await endToEnd.sandbox.staged()).toEqual([]);
  },
  timeoutMs,
);
