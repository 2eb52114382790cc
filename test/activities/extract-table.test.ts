import { ActivityCancellationDetails, CancelledFailure } from '@temporalio/common';
import { createExtractTable } from '../../src/activities/extract-table';
import { identityOfDump, type StagedTable } from '../../src/contract';
import { parseDataset, parseTableName } from '../../src/dump/inputs';
import { extractJobId, extractStagingPrefix, shardName } from '../../src/dump/keys';
import type * as timing from '../../src/timing';
import type { ExtractJob } from '../../src/stores/warehouse';
import { dumpEnvironment, FakeStagingBuckets, FakeWarehouse } from '../fakes';

// What is asked every half-second in production is asked at once here, and shown at once.
jest.mock('../../src/timing', () => ({
  ...jest.requireActual<typeof timing>('../../src/timing'),
  extractPollMs: { first: 5, longest: 20, growth: 1.5 },
  heartbeatEveryMs: 1,
}));

const bucket = 'acme-staging-eu';
const table = parseTableName('companies');
const input = { dataset: parseDataset('acme-prod.data_platform'), table, snapshotMs: 1_672_671_600_000 };
const { accountId, folder } = identityOfDump('dump/acc_7Hq2/2023-01-02T15:04');
const jobId = (number: number): string => extractJobId(accountId, folder, table, number);
const prefix = (number: number): string => extractStagingPrefix(accountId, folder, table, number);

const running: ExtractJob = { state: 'running' };
const succeeded = (shardCount: number): ExtractJob => ({ state: 'succeeded', shardCount });
const failed = (reason: string): ExtractJob => ({ state: 'failed', reason, message: `It failed: ${reason}` });

/** A warehouse whose new jobs write `shardCount` shards into staging. */
function setUp({ shardCount = 3 } = {}) {
  const warehouse = new FakeWarehouse();
  const staging = new FakeStagingBuckets(bucket);
  warehouse.extract = () => {
    const shards = Array.from({ length: shardCount }, (_, shard) => shard);
    staging.addShards(bucket, prefix(warehouse.jobs.size + 1), table, shards);
    return [running, succeeded(shardCount)];
  };
  const stagingBucketByLocation = new Map([['EU', bucket]]);
  const extractTable = createExtractTable({ warehouse, staging, stagingBucketByLocation });
  return { warehouse, staging, extractTable };
}

test('a table is extracted as of the snapshot, in the location of its dataset, into a prefix of its own', async () => {
  const { warehouse, extractTable } = setUp();
  const staged: StagedTable = await dumpEnvironment().run(extractTable, input);
  expect(warehouse.inserted).toEqual([
    expect.objectContaining({
      jobId: jobId(1),
      location: 'EU',
      snapshotMs: input.snapshotMs,
      dataset: input.dataset,
      table,
      destinationUri: `gs://${bucket}/acc_7Hq2/2023-01-02T15:04/companies/1/companies_*.ndjson.gz`,
    }),
  ]);
  expect([...warehouse.askedIn]).toEqual(['EU']);
  expect(staged).toEqual({
    stagingBucket: bucket,
    stagingPrefix: prefix(1),
    shardCount: 3,
    sizeBytes: 3 * 'rows of shard 0'.length,
  });
});

test.each([
  ['just takes is extracted', 0],
  ['does not take is refused before anything is copied', 1],
])('a shard that one PutObject %s', async (_what, tooMany) => {
  const { warehouse, staging, extractTable } = setUp();
  const most = 5 * 1024 ** 3;
  warehouse.extract = () => {
    staging.add(bucket, `${prefix(1)}${shardName(table, 0)}`, 'a great many rows', most + tooMany);
    return [{ state: 'succeeded', shardCount: 1 }];
  };
  const ended = await dumpEnvironment()
    .run(extractTable, input)
    .catch((error: unknown) => error);
  expect(ended).toMatchObject(tooMany === 0 ? { sizeBytes: most } : { type: 'ShardTooLarge', nonRetryable: true });
});

test('the schema is staged before the job exists, so that whoever finds the job finds the schema too', async () => {
  const { warehouse, staging, extractTable } = setUp();
  const extract = warehouse.extract;
  let stagedBefore: string[] = [];
  warehouse.extract = (request) => {
    stagedBefore = staging.names(bucket);
    return extract(request);
  };
  await dumpEnvironment().run(extractTable, input);
  expect(stagedBefore).toEqual([`${prefix(1)}schema.json`]);
  expect(JSON.parse(await staging.readText(bucket, `${prefix(1)}schema.json`))).toEqual(warehouse.description.fields);
});

test.each([
  ['still runs', [running, running, succeeded(2)]],
  ['has succeeded', [succeeded(2)]],
])('the job of an attempt before is found where it %s, and its schema is left as it was', async (_what, states) => {
  const { warehouse, staging, extractTable } = setUp();
  warehouse.jobs.set(jobId(1), states);
  staging.addShards(bucket, prefix(1), table, [0, 1]);
  staging.add(bucket, `${prefix(1)}schema.json`, 'of that moment');
  const { shardCount, stagingPrefix }: StagedTable = await dumpEnvironment().run(extractTable, input);
  expect({ shardCount, stagingPrefix }).toEqual({ shardCount: 2, stagingPrefix: prefix(1) });
  expect(warehouse.inserted).toEqual([]);
  expect(await staging.readText(bucket, `${prefix(1)}schema.json`)).toBe('of that moment');
});

test('after jobs that failed in attempts before, the next number gets a new job and a new prefix', async () => {
  const { warehouse, extractTable } = setUp();
  warehouse.jobs.set(jobId(1), [failed('backendError')]);
  warehouse.jobs.set(jobId(2), [failed('stopped')]);
  const { stagingPrefix }: StagedTable = await dumpEnvironment().run(extractTable, input);
  expect(stagingPrefix).toBe(prefix(3));
  expect(warehouse.inserted.map((job) => job.jobId)).toEqual([jobId(3)]);
});

test('where another attempt inserted the job a moment before, that job is waited for', async () => {
  const { warehouse, extractTable } = setUp();
  warehouse.insertExtract = async (request) => {
    warehouse.jobs.set(request.jobId, warehouse.extract(request));
    return 'already exists';
  };
  await expect(dumpEnvironment().run(extractTable, input)).resolves.toMatchObject({ shardCount: 3 });
});

test.each([
  ['invalid', { type: 'ExtractRefused', nonRetryable: true }],
  ['backendError', { type: 'Transient', nonRetryable: false }],
  ['quotaExceeded', { type: 'Transient', nextRetryDelay: 600_000 }],
])('a job that fails while it is waited for fails the attempt by its reason: %s', async (reason, expected) => {
  const { warehouse, extractTable } = setUp();
  warehouse.extract = () => [running, failed(reason)];
  await expect(dumpEnvironment().run(extractTable, input)).rejects.toMatchObject(expected);
  expect(warehouse.inserted).toHaveLength(1);
});

test('an empty table is staged with the files that were really written', async () => {
  const { extractTable } = setUp({ shardCount: 0 });
  expect(await dumpEnvironment().run(extractTable, input)).toMatchObject({ shardCount: 0, sizeBytes: 0 });
});

test('a shard that BigQuery says it wrote and that is not there is not accepted', async () => {
  const { warehouse, staging, extractTable } = setUp();
  warehouse.extract = () => {
    staging.addShards(bucket, prefix(1), table, [0, 2]);
    return [succeeded(3)];
  };
  await expect(dumpEnvironment().run(extractTable, input)).rejects.toMatchObject({
    type: 'StagingFilesGone',
    message: expect.stringContaining('companies_000000000001.ndjson.gz'),
  });
});

test.each(['VIEW', 'MATERIALIZED_VIEW', 'EXTERNAL'])('a %s is refused before any job', async (type) => {
  const { warehouse, extractTable } = setUp();
  warehouse.description = { ...warehouse.description, type };
  await expect(dumpEnvironment().run(extractTable, input)).rejects.toMatchObject({
    type: 'TableNotExtractable',
    nonRetryable: true,
    message: expect.stringContaining('[table=acme-prod.data_platform.companies]'),
  });
  expect(warehouse.inserted).toEqual([]);
});

test('a location without a staging bucket is refused, by its name', async () => {
  const { warehouse, extractTable } = setUp();
  warehouse.description = { ...warehouse.description, location: 'US' };
  await expect(dumpEnvironment().run(extractTable, input)).rejects.toMatchObject({
    type: 'StagingLocationNotConfigured',
    message: expect.stringContaining('add US=<a bucket in that location>'),
  });
});

test('a heartbeat names the job that is waited for', async () => {
  const { extractTable } = setUp();
  const environment = dumpEnvironment();
  const beats: unknown[] = [];
  environment.on('heartbeat', (beat: unknown) => beats.push(beat));
  await environment.run(extractTable, input);
  expect(beats).toContainEqual({ jobId: jobId(1), state: 'running' });
});

test('when the dump is cancelled, the job is cancelled and its end is waited for', async () => {
  const { warehouse, extractTable } = setUp();
  const environment = dumpEnvironment();
  warehouse.extract = () => {
    setImmediate(() => environment.cancel());
    return [running];
  };
  await expect(environment.run(extractTable, input)).rejects.toBeInstanceOf(CancelledFailure);
  expect(warehouse.cancelled).toEqual([expect.objectContaining({ jobId: jobId(1), location: 'EU' })]);
  expect(warehouse.jobs.get(jobId(1))).toEqual([expect.objectContaining({ state: 'failed' })]);
});

test('when only the worker shuts down, the job goes on: the next attempt finds it', async () => {
  const { warehouse, extractTable } = setUp();
  const environment = dumpEnvironment();
  warehouse.extract = () => {
    const workerShutdown = new ActivityCancellationDetails({ workerShutdown: true });
    setImmediate(() => environment.cancel('WORKER_SHUTDOWN', workerShutdown));
    return [running];
  };
  await expect(environment.run(extractTable, input)).rejects.toBeInstanceOf(CancelledFailure);
  expect(warehouse.cancelled).toEqual([]);
});

test('a cancellation is told as such although the job could not be cancelled', async () => {
  const { warehouse, extractTable } = setUp();
  const environment = dumpEnvironment();
  warehouse.extract = () => {
    setImmediate(() => environment.cancel());
    return [running];
  };
  warehouse.cancelExtract = () => Promise.reject(new Error('BigQuery does not answer'));
  await expect(environment.run(extractTable, input)).rejects.toBeInstanceOf(CancelledFailure);
});
