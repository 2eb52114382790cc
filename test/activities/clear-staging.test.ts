import { createClearStaging } from '../../src/activities/clear-staging';
import { dumpEnvironment, FakeStagingBuckets } from '../fakes';

const stagingBucketByLocation = new Map([
  ['EU', 'acme-staging-eu'],
  ['EUROPE-WEST1', 'acme-staging-eu'],
  ['US', 'acme-staging-us'],
]);

const ours = ['acc_7Hq2/2023-01-02T15:04/companies/1/schema.json', 'acc_7Hq2/2023-01-02T15:04/events/2/shard.gz'];
const others = ['acc_7Hq2/2023-01-02T15:05/companies/1/shard.gz', 'acc_7Hq2x/2023-01-02T15:04/companies/1/shard.gz'];

test('all that the dump staged is deleted, in every location, and nothing of any other dump', async () => {
  const staging = new FakeStagingBuckets('acme-staging-eu', 'acme-staging-us');
  for (const bucket of ['acme-staging-eu', 'acme-staging-us']) {
    for (const name of [...ours, ...others]) staging.add(bucket, name, 'rows');
  }
  await dumpEnvironment().run(createClearStaging({ staging, stagingBucketByLocation }));
  expect(staging.names('acme-staging-eu')).toEqual(others);
  expect(staging.names('acme-staging-us')).toEqual(others);
});

test('a bucket that is gone does not keep the others from being cleared', async () => {
  const staging = new FakeStagingBuckets('acme-staging-us');
  for (const name of ours) staging.add('acme-staging-us', name, 'rows');
  await dumpEnvironment().run(createClearStaging({ staging, stagingBucketByLocation }));
  expect(staging.names('acme-staging-us')).toEqual([]);
});

test('any other failure fails the attempt, so that it is tried again', async () => {
  const staging = new FakeStagingBuckets('acme-staging-eu', 'acme-staging-us');
  staging.deleteAll = () => Promise.reject(new Error('unavailable'));
  const clearStaging = createClearStaging({ staging, stagingBucketByLocation });
  await expect(dumpEnvironment().run(clearStaging)).rejects.toThrow('unavailable');
});
