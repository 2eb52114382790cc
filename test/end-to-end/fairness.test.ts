/** Tables and customers share the copy workers: one with many shards does not hold up one with few. */
import { parseAccountId, parseBucketName } from '../../src/dump/inputs';
import { eventually } from '../eventually';
import { dataset, EndToEnd } from './environment';

const shardMs = 60;
/** Rows to a shard, so that each of these tables has 300 to 400 shards, in ranges of about 20. */
const manyShards = { companies: 1, contacts: 3, events: 8, revenue: 1, revenue_attribution: 4 };
let endToEnd: EndToEnd;

beforeAll(async () => {
  endToEnd = await EndToEnd.start({ scale: 0.05, shardRows: 1_000, shardRowsOf: manyShards });
  endToEnd.proxies.aws.latencyMs = ({ path }) => (path.includes('.ndjson.gz') ? shardMs : 0);
});
afterAll(() => endToEnd.stop());

/** The customers whose shards were put, in order. */
const customersOfPuts = (): string[] =>
  endToEnd.proxies.aws.recorded.flatMap(({ path }) => (path.includes('.ndjson.gz') ? [path.split('/')[1] ?? ''] : []));

async function announce(name: string, tables: string[]): Promise<void> {
  const account = parseAccountId(name);
  const bucket = parseBucketName(`${name}-data`);
  const { roleArn } = await endToEnd.sandbox.addCustomer(account, bucket, { roleName: name, region: 'us-east-1' });
  await endToEnd.destinations.connect(account, { roleArn, bucket, tables });
  await endToEnd.destinations.modellingRunSucceeded(account, { runId: 'run-1', finishedAt: new Date(), dataset });
}

test('a table of few shards that comes later does not wait until one of many is copied', async () => {
  const worker = await endToEnd.startWorker({ COPY_SHARDS_IN_FLIGHT: '1' });
  const later = endToEnd.proxies.bigquery.arm({
    matches: ({ method, body }) => method === 'POST' && body.includes('paid_ads'),
    effect: { kind: 'hold', side: 'request' },
    times: Infinity,
  });
  await announce('mixed', ['companies', 'paid_ads']);
  const tables = async () => (await endToEnd.destinations.status('mixed')).dump?.tables ?? {};
  const giant = await eventually(
    async () => (await tables())['companies'],
    (progress) => progress?.state === 'copying' && progress.copied.shards >= 20,
  );
  expect(giant).toMatchObject({ total: { shards: 400 } });
  later.release();
  const after = await eventually(tables, ({ paid_ads: small }) => small?.state === 'delivered');
  expect(after['companies']).toMatchObject({ state: 'copying' });
  await endToEnd.destinations.abandon('mixed');
  await worker.stop();
});

test('a customer of few shards does not wait until all ranges of another that wait before it are copied', async () => {
  await endToEnd.startWorker({ COPY_ACTIVITIES: '1', COPY_SHARDS_IN_FLIGHT: '1' });
  const tables = Object.keys(manyShards);
  // Until the small one has come, none of the giant's is put.
  const puts = endToEnd.proxies.aws.arm({
    matches: ({ path }) => path.startsWith('/giant-data/') && path.includes('.ndjson.gz'),
    effect: { kind: 'hold', side: 'request' },
    times: Infinity,
  });
  await announce('giant', tables);
  // All that may wait for its turn does: of each table four ranges, some 400 shards together.
  await eventually(
    async () => Object.values((await endToEnd.destinations.status('giant')).dump?.tables ?? {}),
    (progress) => progress.length === tables.length && progress.every(({ state }) => state === 'copying'),
  );
  await announce('small', ['paid_ads']);
  await eventually(
    async () => (await endToEnd.destinations.status('small')).dump?.tables['paid_ads']?.state,
    (state) => state === 'copying',
  );
  const before = customersOfPuts().length;
  puts.release();
  expect(await endToEnd.ended('small', 'run-1')).toMatchObject({ outcome: 'delivered' });
  const waitedFor = customersOfPuts().indexOf('small-data') - before;
  // In turn it would wait for about 400. A range is not interrupted.
  expect(waitedFor).toBeLessThan(120);
  expect((await endToEnd.destinations.status('giant')).dump?.state).toBe('Running');
}, 240_000);
