import { createAssumeCustomerRole } from '../../src/activities/assume-customer-role';
import type { AssumedRole } from '../../src/contract';
import { dumpEnvironment, exampleSettings, FakeCustomerBuckets } from '../fakes';

const calledBy = (workflowId: string) => dumpEnvironment({ workflowExecution: { workflowId, runId: 'test' } });

test('whose role is assumed comes from the workflow id, whatever else the input names', async () => {
  const customerBuckets = new FakeCustomerBuckets();
  const assumeCustomerRole = createAssumeCustomerRole({ customerBuckets });
  const input = { settings: exampleSettings, accountId: 'acc_other', externalId: 'acc_other' };
  await dumpEnvironment().run(assumeCustomerRole, input);
  await calledBy('destination/acc_9Zz9').run(assumeCustomerRole, input);
  expect(customerBuckets.deliveries).toEqual([
    { accountId: 'acc_7Hq2', folder: '2023-01-02T15:04', settings: exampleSettings },
    { accountId: 'acc_9Zz9', settings: exampleSettings },
  ]);
});

test('only what may be seen is returned, as it is kept in history', async () => {
  const assumeCustomerRole = createAssumeCustomerRole({ customerBuckets: new FakeCustomerBuckets() });
  const proof: AssumedRole = await dumpEnvironment().run(assumeCustomerRole, { settings: exampleSettings });
  expect(Object.keys(proof).toSorted()).toEqual(['assumedRoleArn', 'awsAccountId', 'expiresAt']);
});

test.each([
  'acc_7Hq2',
  'dump/acc_7Hq2',
  'destination/acc_7Hq2/2023-01-02T15:04',
  'other/acc_7Hq2',
  'my-destination/acc_7Hq2',
  'destination/',
])("a workflow of id '%s' can assume no role", async (workflowId) => {
  const customerBuckets = new FakeCustomerBuckets();
  const assumeCustomerRole = createAssumeCustomerRole({ customerBuckets });
  await expect(calledBy(workflowId).run(assumeCustomerRole, { settings: exampleSettings })).rejects.toThrow(
    'is not of the form',
  );
  expect(customerBuckets.deliveries).toEqual([]);
});
