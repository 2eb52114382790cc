/** Whatever breaks, the dump is delivered: nothing is lost, nothing is half. Fourteen of the faults of `npm run test:crash`. */
import { parseAccountId, parseBucketName } from '../../src/dump/inputs';
import type { Fault } from '../crash/fault';
import { faults } from '../crash/faults';
import { runMatrix, type Row } from '../crash/matrix';
import { nth, shardPut } from '../crash/traffic';
import { compareRows, keysIn, readJson, type GuideReceipt } from './delivered';
import { eventually } from '../eventually';
import { dataset, EndToEnd } from './environment';
import { createLatch } from './latch';
import { repeated, shardsPutBy, toldShards } from './told-shards';

/** One of each kind, and those that broke something once. */
const chosen = [
  'killed while the role is assumed',
  'killed after an extract job is inserted',
  'killed while a job is running',
  'killed mid-stream of a shard',
  'killed after all shards of a table are put',
  "killed after the commit's PUT, before its answer",
  'killed while staging is cleared',
  'SIGTERM amid the shards, as in a rolling restart',
  'Temporal restarted and the worker killed amid the shards',
  'S3 and STS restarted amid the shards, sessions forgotten',
  'BigQuery restarted while jobs run: they fail',
  'S3 answers 8 shards 503 SlowDown',
  'Cloud Storage does not answer a list',
  'a byte of 4 shards is damaged on the way from Cloud Storage',
].map((name): Fault => {
  const fault = faults.find((known) => known.name === name);
  if (fault === undefined) throw new Error(`No fault is called '${name}'`);
  return fault;
});

const sandboxes = 4;
const faultTimeoutMs = 300_000;

describe('a dump is delivered whole and once, although', () => {
  const rows = new Map(chosen.map(({ name }) => [name, createLatch<Row>()]));
  let matrix: Promise<unknown>;

  beforeAll(() => {
    matrix = runMatrix(chosen, { sandboxes, onRow: (row) => rows.get(row.fault.name)?.open(row) });
    // Its failure is every test's that has no row by then.
    matrix.catch(() => {});
  });
  afterAll(() => matrix);

  test.each(chosen)(
    '$name',
    async ({ name }) => {
      const row = rows.get(name)?.opened;
      expect((await Promise.race([row, matrix.then(() => row)]))?.broken).toEqual([]);
    },
    faultTimeoutMs,
  );
});

test('a control worker and a copy worker, each a process of its own, deliver together', async () => {
  const endToEnd = await EndToEnd.start({ scale: 0.05, shardRows: 60 });
  try {
    const account = parseAccountId('apart');
    const bucket = parseBucketName('apart-data');
    const customer = await endToEnd.sandbox.addCustomer(account, bucket, { roleName: 'apart' });
    const workers = await Promise.all([endToEnd.startWorker({}, 'control'), endToEnd.startWorker({}, 'copy')]);
    await endToEnd.destinations.connect(account, { roleArn: customer.roleArn, bucket });
    await endToEnd.destinations.modellingRunSucceeded(account, { runId: 'run-1', finishedAt: new Date(), dataset });
    expect(await endToEnd.ended(account, 'run-1')).toMatchObject({ outcome: 'delivered' });
    const receipt = await readJson<GuideReceipt>(customer, 'receipt.json');
    for (const [table, promised] of Object.entries(receipt.tables)) {
      expect(await keysIn(customer, promised.folder)).toHaveLength(promised.total_file_count);
      const difference = await compareRows(customer, promised, endToEnd.parquetFile(table));
      expect(difference).toMatchObject({ missing: 0, unexpected: 0 });
    }
    await Promise.all(workers.map((worker) => worker.stop()));
  } finally {
    await endToEnd.stop();
  }
});

test('a copy that is killed goes on within its range: only what was in flight is put again', async () => {
  const endToEnd = await EndToEnd.start({ scale: 0.05, shardRows: 1 });
  try {
    const { aws } = endToEnd.proxies;
    const account = parseAccountId('range');
    const bucket = parseBucketName('range-data');
    const customer = await endToEnd.sandbox.addCustomer(account, bucket, { roleName: 'range', region: 'us-east-1' });
    const killed = await endToEnd.startWorker({ COPY_ACTIVITIES: '1', COPY_SHARDS_IN_FLIGHT: '2' });
    await endToEnd.destinations.connect(account, { roleArn: customer.roleArn, bucket, tables: ['companies'] });
    // A range, which has 25 of the 400 shards, does not end: of those that are done heartbeats tell alone.
    const held = aws.arm({
      matches: nth(3, shardPut({ account, bucket })),
      effect: { kind: 'hold', side: 'request' },
    });
    await endToEnd.destinations.modellingRunSucceeded(account, { runId: 'run-1', finishedAt: new Date(), dataset });
    const inFlight = await held.hit;
    const workflowId = await endToEnd.dumpAtWork(account);
    await eventually(
      () => toldShards(endToEnd.client, workflowId),
      ({ size }) => size === 24,
    );
    killed.kill('SIGKILL');
    await killed.exited;
    held.release();
    await endToEnd.startWorker();
    expect(await endToEnd.ended(account, 'run-1')).toMatchObject({ outcome: 'delivered', total: { shards: 400 } });
    expect(repeated(shardsPutBy(aws.exchanges.map(({ asked }) => asked)))).toEqual(shardsPutBy([inFlight]));
  } finally {
    await endToEnd.stop();
  }
});
