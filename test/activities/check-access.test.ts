import { createCheckAccess } from '../../src/activities/check-access';
import { dumpEnvironment, exampleSettings, FakeCustomerBuckets } from '../fakes';

const check = (customerBuckets: FakeCustomerBuckets) =>
  dumpEnvironment({ workflowExecution: { workflowId: 'destination/acc_7Hq2', runId: 'test' } }).run(
    createCheckAccess({ customerBuckets }),
    { settings: exampleSettings },
  );

test('a role that wants the external id and a bucket that takes an object are proven, by one object that says what it is', async () => {
  const customerBuckets = new FakeCustomerBuckets();
  await expect(check(customerBuckets)).resolves.toMatchObject({ awsAccountId: '111122223333' });
  expect([...customerBuckets.objects.keys()]).toEqual(['exports/dreamdata/connection-check.json']);
  const { contentType, content = '' } = [...customerBuckets.objects.values()][0] ?? {};
  expect(contentType).toBe('application/json');
  expect(JSON.parse(content)).toEqual({
    what: expect.stringContaining('may be deleted') as string,
    account: 'acc_7Hq2',
    checkedAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT/) as string,
  });
});

test.each([
  ['without an external id', undefined],
  ['with any external id', 'any'],
])('a role that lets us in %s is turned down, and nothing is put', async (how, externalId) => {
  const customerBuckets = new FakeCustomerBuckets();
  customerBuckets.openTo.add(externalId);
  await expect(check(customerBuckets)).rejects.toMatchObject({
    type: 'RoleOpen',
    nonRetryable: true,
    message: expect.stringMatching(
      new RegExp(`lets us in ${how}.*"StringEquals":\\{"sts:ExternalId":"acc_7Hq2"\\}`),
    ) as string,
  });
  expect(customerBuckets.objects.size).toBe(0);
});

test('a fault on the way to the refusal proves nothing: it is thrown', async () => {
  const customerBuckets = new FakeCustomerBuckets();
  customerBuckets.letsIn = async () => {
    throw new Error('connection reset');
  };
  await expect(check(customerBuckets)).rejects.toThrow('connection reset');
  expect(customerBuckets.objects.size).toBe(0);
});
