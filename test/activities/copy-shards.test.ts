import { createCopyShards } from '../../src/activities/copy-shards';
import type { CopyProgress } from '../../src/contract';
import { parseTableName } from '../../src/dump/inputs';
import { ShardSlots } from '../../src/dump/shard-slots';
import { putFailure } from '../../src/failures';
import { dumpEnvironment, exampleSettings, FakeBytes, FakeCustomerBuckets, FakeStagingBuckets } from '../fakes';

const settings = exampleSettings;
const table = parseTableName('companies');
const stagingBucket = 'acme-staging-eu';
const stagingPrefix = 'acc_7Hq2/2023-01-02T15:04/companies/1/';
const shardCount = 5;
const shardBytes = 'rows of shard 0'.length;
const staged = { stagingBucket, stagingPrefix, shardCount, sizeBytes: shardCount * shardBytes };
const whole = { settings, table, staged, range: { first: 0, count: shardCount }, doneShards: [], doneBytes: 0 };

const name = (shard: number): string => `companies_00000000000${shard}.ndjson.gz`;
const keyOf = (shard: number): string => `exports/dreamdata/2023-01-02T15:04/companies/${name(shard)}`;

function setUp({ shardsInFlight = 2, shards = [0, 1, 2, 3, 4] } = {}) {
  const staging = new FakeStagingBuckets(stagingBucket);
  staging.addShards(stagingBucket, stagingPrefix, table, shards);
  const customerBuckets = new FakeCustomerBuckets();
  const shardSlots = new ShardSlots(shardsInFlight);
  const copyShards = createCopyShards({ staging, customerBuckets, shardSlots });
  return { staging, customerBuckets, copyShards, shardSlots };
}

/** An environment, and the last thing that a next attempt would be told. */
function listening(heartbeatDetails?: CopyProgress) {
  const environment = dumpEnvironment({ heartbeatDetails });
  const beats: CopyProgress[] = [];
  environment.on('heartbeat', (beat: CopyProgress) => beats.push(beat));
  return { environment, lastBeat: () => beats.at(-1) };
}

test('every shard of the range is put as application/gzip, with the size and CRC32C that Cloud Storage knows', async () => {
  const { customerBuckets, copyShards } = setUp();
  const copied = await dumpEnvironment().run(copyShards, { ...whole, range: { first: 1, count: 3 } });
  expect(copied).toEqual({ shards: 3, bytes: 3 * shardBytes });
  expect([...customerBuckets.objects.keys()].toSorted()).toEqual([keyOf(1), keyOf(2), keyOf(3)]);
  expect(customerBuckets.objects.get(keyOf(2))).toEqual({
    contentType: 'application/gzip',
    content: 'rows of shard 2',
    sizeBytes: shardBytes,
    crc32c: 'crc32c of rows of shard 2',
  });
});

test("it delivers to the customer of the calling workflow, as the dump's session", async () => {
  const { customerBuckets, copyShards } = setUp();
  await dumpEnvironment().run(copyShards, whole);
  expect(customerBuckets.deliveries).toEqual([{ accountId: 'acc_7Hq2', folder: '2023-01-02T15:04', settings }]);
});

test('shards that an activity before delivered are not put again, and are counted', async () => {
  const { customerBuckets, copyShards } = setUp();
  const { environment, lastBeat } = listening();
  const before = { doneShards: [3, 0], doneBytes: 2 * shardBytes };
  expect(await environment.run(copyShards, { ...whole, ...before })).toEqual({
    shards: shardCount,
    bytes: shardCount * shardBytes,
  });
  expect([...customerBuckets.objects.keys()].toSorted()).toEqual([keyOf(1), keyOf(2), keyOf(4)]);
  // The last one is told by the activity's end.
  expect(lastBeat()?.doneShards).toHaveLength(4);
  expect(lastBeat()?.doneShards).toEqual(expect.arrayContaining([0, 3]));
});

test('what the last heartbeat of an attempt before tells is done too, with what had been done before it', async () => {
  const { customerBuckets, copyShards } = setUp();
  const { environment } = listening({ table, doneShards: [3, 0, 4], doneBytes: 3 * shardBytes });
  const before = { doneShards: [3, 0], doneBytes: 2 * shardBytes };
  expect(await environment.run(copyShards, { ...whole, ...before })).toEqual({
    shards: shardCount,
    bytes: shardCount * shardBytes,
  });
  expect([...customerBuckets.objects.keys()].toSorted()).toEqual([keyOf(1), keyOf(2)]);
});

test('never more shards are streamed than are allowed side by side', async () => {
  const { customerBuckets, copyShards } = setUp({ shardsInFlight: 2 });
  let underWay = 0;
  let most = 0;
  customerBuckets.beforePut = async () => {
    most = Math.max(most, ++underWay);
    await new Promise((resolve) => setTimeout(resolve, 5));
    underWay--;
  };
  await dumpEnvironment().run(copyShards, whole);
  expect(most).toBe(2);
});

test('when a shard fails, those in flight finish, no more are begun, and what is done is not lost', async () => {
  const { customerBuckets, copyShards } = setUp({ shardsInFlight: 2 });
  const refusal = putFailure(Object.assign(new Error('Access Denied'), { name: 'AccessDenied' }), settings, keyOf(0));
  customerBuckets.beforePut = async (key) => {
    if (key === keyOf(0)) throw refusal;
    await new Promise((resolve) => setTimeout(resolve, 20));
  };
  const { environment, lastBeat } = listening();
  const copyProgress: CopyProgress = { table, doneShards: [1], doneBytes: shardBytes };
  // A next attempt reads the heartbeat; a next activity, after a person's retry, is told by the failure's details.
  await expect(environment.run(copyShards, whole)).rejects.toMatchObject({
    type: 'BucketAccessDenied',
    message: refusal.message,
    details: [{ remedy: expect.stringContaining('s3:PutObject'), copyProgress }],
  });
  expect([...customerBuckets.objects.keys()]).toEqual([keyOf(1)]);
  expect(lastBeat()).toEqual(copyProgress);
});

test('bytes and shards are counted when S3 has taken them, and not before', async () => {
  const { customerBuckets, copyShards } = setUp({ shardsInFlight: 1 });
  const { environment, lastBeat } = listening();
  const beatsAtPuts: unknown[] = [];
  customerBuckets.beforePut = async () => void beatsAtPuts.push(lastBeat());
  await environment.run(copyShards, whole);
  expect(beatsAtPuts).toEqual([
    undefined,
    ...[1, 2, 3, 4].map((done) => ({
      table,
      doneShards: Array.from({ length: done }, (_, shard) => shard),
      doneBytes: done * shardBytes,
    })),
  ]);
});

test('a shard for which S3 asks for a slower pace is put again, while fewer are under way', async () => {
  const { customerBuckets, copyShards, shardSlots } = setUp({ shardsInFlight: 4 });
  const slowDown = putFailure(Object.assign(new Error('Slow.'), { name: 'SlowDown' }), settings, keyOf(0));
  const limits: number[] = [];
  let refusals = 2;
  customerBuckets.beforePut = async () => {
    limits.push(shardSlots.limitOf(settings.bucket));
    if (refusals-- > 0) throw slowDown;
  };
  expect(await dumpEnvironment().run(copyShards, whole)).toEqual({
    shards: shardCount,
    bytes: shardCount * shardBytes,
  });
  expect([...customerBuckets.objects.keys()]).toHaveLength(shardCount);
  expect(limits.slice(0, 4)).toEqual([4, 4, 4, 4]);
  expect(limits.at(-1)).toBeLessThan(4);
});

test('a staged shard that is missing is a failure that no retry mends', async () => {
  const { customerBuckets, copyShards } = setUp({ shards: [0, 1, 3, 4], shardsInFlight: 1 });
  await expect(dumpEnvironment().run(copyShards, whole)).rejects.toMatchObject({
    type: 'StagingFilesGone',
    nonRetryable: true,
    message: expect.stringContaining(`[bucket=${stagingBucket} name=${stagingPrefix}${name(2)}]`),
  });
  expect([...customerBuckets.objects.keys()]).toEqual([keyOf(0), keyOf(1)]);
});

test('a staged shard that breaks while it is read is not blamed on S3', async () => {
  const { staging, customerBuckets, copyShards } = setUp();
  staging.open = async () => new FakeBytes(['half of ', new Error('socket hang up')]);
  await expect(dumpEnvironment().run(copyShards, whole)).rejects.toMatchObject({
    type: 'Transient',
    message: expect.stringContaining(`[bucket=${stagingBucket} name=${stagingPrefix}${name(0)}]`),
  });
  expect(customerBuckets.objects.size).toBe(0);
});

test('a cancelled dump aborts the puts that are under way and begins no more', async () => {
  const { customerBuckets, copyShards } = setUp({ shardsInFlight: 2 });
  const { environment } = listening();
  const begun: string[] = [];
  customerBuckets.beforePut = (key, signal) => {
    begun.push(key);
    if (begun.length === 2) setImmediate(() => environment.cancel());
    return new Promise((_resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason));
    });
  };
  await expect(environment.run(copyShards, whole)).rejects.toMatchObject({ name: 'CancelledFailure' });
  expect(begun).toEqual([keyOf(0), keyOf(1)]);
});
