/** Buckets that are encrypted with a KMS key: by the bucket's default, and by a key that the destination names. */
import { parseAccountId, parseBucketName } from '../../src/dump/inputs';
import { kmsPolicy, permissionPolicy } from '../../src/dump/policies';
import { eventually } from '../eventually';
import { dataset, EndToEnd } from './environment';

let endToEnd: EndToEnd;
beforeAll(async () => {
  endToEnd = await EndToEnd.start({ scale: 0.01, shardRows: 50 });
  await endToEnd.startWorker();
});
afterAll(() => endToEnd?.stop());

test.each([
  ['the bucket’s default', 'by-default'],
  ['a key that the destination names', 'by-name'],
])('every object is stored with %s; a disabled key makes the dump wait', async (_what, name) => {
  const accountId = parseAccountId(name);
  const bucket = parseBucketName(`${name}-data`);
  const customer = await endToEnd.sandbox.addCustomer(accountId, bucket, { roleName: name });
  const keyArn = await customer.createKey();
  const permissions = permissionPolicy(bucket);
  await customer.setPermissions({
    ...permissions,
    Statement: [...permissions.Statement, ...kmsPolicy(keyArn).Statement],
  });
  if (name === 'by-default') await customer.encryptWith(keyArn);
  await endToEnd.destinations.connect(accountId, {
    roleArn: customer.roleArn,
    bucket,
    tables: ['contacts'],
    ...(name === 'by-name' ? { kmsKeyArn: keyArn } : {}),
  });

  await customer.disableKey(keyArn);
  await endToEnd.destinations.modellingRunSucceeded(accountId, { runId: 'run-1', finishedAt: new Date(), dataset });
  const { dump } = await eventually(
    () => endToEnd.destinations.status(accountId),
    ({ dump: waiting }) => waiting?.state === 'NeedsAttention',
  );
  expect(dump?.tables['contacts']).toMatchObject({ fault: { type: 'KmsDenied', mender: 'customer' } });

  await customer.enableKey(keyArn);
  await endToEnd.destinations.retry(accountId);
  expect(await endToEnd.ended(accountId, 'run-1')).toMatchObject({ outcome: 'delivered' });
  const keys = await Promise.all((await customer.objects()).map(({ Key }) => customer.keyOf(Key)));
  expect(keys.length).toBeGreaterThan(3);
  expect(new Set(keys)).toEqual(new Set([keyArn]));
});
