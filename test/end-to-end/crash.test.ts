/** Whatever kills a worker, another takes the dump up: nothing is lost, nothing is half. */
import type { CustomerAccount } from '../../sandbox/aws';
import type { Running } from '../../sandbox/processes';
import { parseAccountId, parseBucketName } from '../../src/dump/inputs';
import { heartbeatThrottleMs } from '../../src/timing';
import { eventually } from '../eventually';
import { compareRows, keysIn, readJson, type GuideReceipt } from './delivered';
import { dataset, EndToEnd } from './environment';

const tables = ['companies', 'contacts', 'events'] as const;
/** `COPY_ACTIVITIES` × `COPY_SHARDS_IN_FLIGHT` of the workers below. */
const shardsInFlight = 4;
const slow = { COPY_ACTIVITIES: '2', COPY_SHARDS_IN_FLIGHT: '2' };

let endToEnd: EndToEnd;
beforeAll(async () => {
  endToEnd = await EndToEnd.start({ scale: 0.05, shardRows: 20 });
});
afterAll(() => endToEnd?.stop());

const putsSince = (bucket: string, sinceMs: number): string[] =>
  endToEnd.proxies.aws.recorded.flatMap(({ method, path, status, endedAtMs }) =>
    method === 'PUT' && status === 200 && path.startsWith(`/${bucket}/`) && endedAtMs >= sinceMs
      ? [path.replace(/\?.*/, '')]
      : [],
  );

const puts = (bucket: string): string[] => putsSince(bucket, 0);

interface Killed {
  readonly name: string;
  /** Whether the moment has come at which the worker is killed. */
  readonly moment: (account: string, bucket: string) => Promise<boolean>;
  readonly kill: (worker: Running) => void;
}

const bySigkill = (worker: Running): void => worker.kill('SIGKILL');

const extracting = async (account: string): Promise<boolean> => {
  const { dump } = await endToEnd.destinations.status(account);
  return dump !== undefined && Object.values(dump.tables).some(({ state }) => state === 'extracting');
};

const moments: Killed[] = [
  { name: 'while tables are extracted, by SIGKILL', moment: extracting, kill: bySigkill },
  {
    name: 'after the first shard, by SIGKILL',
    moment: async (_account, bucket) => puts(bucket).length >= 1,
    kill: bySigkill,
  },
  {
    name: 'amid the shards, by SIGKILL',
    moment: async (_account, bucket) => puts(bucket).length >= 60,
    kill: bySigkill,
  },
  {
    name: 'amid the shards, by SIGTERM as in a rolling restart',
    moment: async (_account, bucket) => puts(bucket).length >= 60,
    kill: (worker) => worker.kill('SIGTERM'),
  },
  {
    name: 'after the receipt, by SIGKILL',
    moment: async (_account, bucket) => puts(bucket).includes(`/${bucket}/receipt.json`),
    kill: bySigkill,
  },
];

test.each(moments)('a dump whose worker is killed $name is delivered by the next', async ({ name, moment, kill }) => {
  const number = moments.findIndex((killed) => killed.name === name);
  const account = parseAccountId(`crash_${number}`);
  const bucket = parseBucketName(`crash-${number}`);
  const customer = await endToEnd.sandbox.addCustomer(account, bucket, {
    roleName: `crash-${number}`,
    region: 'us-east-1',
  });
  const worker = await endToEnd.startWorker(slow);
  await endToEnd.destinations.connect(account, { roleArn: customer.roleArn, bucket, tables });
  await endToEnd.destinations.modellingRunSucceeded(account, { runId: 'run-1', finishedAt: new Date(), dataset });

  await eventually(
    () => moment(account, bucket),
    (come) => come,
    60_000,
  );
  const killedAtMs = Date.now();
  kill(worker);
  await worker.exited;
  const next = await endToEnd.startWorker(slow);
  expect(await endToEnd.ended(account, 'run-1')).toMatchObject({ outcome: 'delivered' });
  await next.stop();

  await expectDelivered(customer);
  const put = puts(bucket);
  // What was in flight is put again, and what no heartbeat told of any more: one may be held back, and one under way.
  const untold = putsSince(bucket, killedAtMs - 3 * heartbeatThrottleMs).length;
  expect(put.length - new Set(put).size).toBeLessThanOrEqual(shardsInFlight + untold);
  expect(await endToEnd.sandbox.staged()).toEqual([]);
});

/** What a receipt promises is there. */
async function expectDelivered(customer: CustomerAccount): Promise<void> {
  const receipt = await readJson<GuideReceipt>(customer, 'receipt.json');
  expect(Object.keys(receipt.tables)).toEqual([...tables]);
  for (const [table, promised] of Object.entries(receipt.tables)) {
    expect(await keysIn(customer, promised.folder)).toHaveLength(promised.total_file_count);
    const difference = await compareRows(customer, promised, endToEnd.parquetFile(table));
    expect(difference).toMatchObject({ missing: 0, unexpected: 0 });
  }
}

test('a control worker and a copy worker, each a process of its own, deliver together', async () => {
  const account = parseAccountId('apart');
  const bucket = parseBucketName('apart-data');
  const customer = await endToEnd.sandbox.addCustomer(account, bucket, { roleName: 'apart', region: 'us-east-1' });
  const workers = await Promise.all([endToEnd.startWorker({}, 'control'), endToEnd.startWorker({}, 'copy')]);
  await endToEnd.destinations.connect(account, { roleArn: customer.roleArn, bucket, tables });
  await endToEnd.destinations.modellingRunSucceeded(account, { runId: 'run-1', finishedAt: new Date(), dataset });
  expect(await endToEnd.ended(account, 'run-1')).toMatchObject({ outcome: 'delivered' });
  await expectDelivered(customer);
  await Promise.all(workers.map((worker) => worker.stop()));
});
