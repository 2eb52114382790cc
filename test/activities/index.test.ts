import { createControlActivities, createCopyActivities, createExtractActivities } from '../../src/activities';
import { ShardSlots } from '../../src/dump/shard-slots';
import { FakeCustomerBuckets, FakeStagingBuckets, FakeWarehouse } from '../fakes';

const deps = {
  warehouse: new FakeWarehouse(),
  staging: new FakeStagingBuckets(),
  stagingBucketByLocation: new Map<string, string>(),
  customerBuckets: new FakeCustomerBuckets(),
  shardSlots: new ShardSlots(1),
  webhook: undefined,
};

test('control workers still extract for dumps that asked before extracts had a queue of their own', () => {
  expect(Object.keys(createExtractActivities(deps))).toEqual(['extractTable']);
  expect(Object.keys(createControlActivities(deps))).toContain('extractTable');
  expect(Object.keys(createCopyActivities(deps))).toEqual(['copyShards']);
});
