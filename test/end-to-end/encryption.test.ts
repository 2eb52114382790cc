/** Buckets that are encrypted with a KMS key: by the bucket's default, and by a key that the destination names. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { compiled } from '../../sandbox/processes';
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
  const keyArn = await customer.keys.create();
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

  await customer.keys.disable(keyArn);
  await endToEnd.destinations.modellingRunSucceeded(accountId, { runId: 'run-1', finishedAt: new Date(), dataset });
  const { dump } = await eventually(
    () => endToEnd.destinations.status(accountId),
    ({ dump: waiting }) => waiting?.state === 'NeedsAttention',
  );
  expect(dump?.tables['contacts']).toMatchObject({ fault: { type: 'KmsDenied', mender: 'customer' } });

  await customer.keys.enable(keyArn);
  await endToEnd.destinations.retry(accountId);
  expect(await endToEnd.ended(accountId, 'run-1')).toMatchObject({ outcome: 'delivered' });
  const keys = await Promise.all((await customer.objects()).map(({ Key }) => customer.keyOf(Key)));
  expect(keys.length).toBeGreaterThan(3);
  expect(new Set(keys)).toEqual(new Set([keyArn]));
});

const execute = promisify(execFile);
const policies = async (...args: string[]): Promise<unknown> => {
  const { stdout } = await execute(process.execPath, [compiled('src', 'client.js'), 'policies', ...args], {
    env: { PATH: process.env['PATH'], ...endToEnd.sandbox.environment },
  });
  return JSON.parse(stdout);
};

test('policies without a bucket are for the bucket, the path and the key that are connected', async () => {
  const accountId = parseAccountId('connected');
  const bucket = parseBucketName('connected-data');
  const customer = await endToEnd.sandbox.addCustomer(accountId, bucket, { roleName: 'connected' });
  const kmsKeyArn = await customer.keys.create();
  const permissions = permissionPolicy(bucket);
  await customer.setPermissions({
    ...permissions,
    Statement: [...permissions.Statement, ...kmsPolicy(kmsKeyArn).Statement],
  });
  const path = 'exports/dreamdata';
  await endToEnd.destinations.connect(accountId, { roleArn: customer.roleArn, bucket, path, kmsKeyArn });

  expect(await policies(accountId)).toMatchObject({
    permissionPolicy: permissions,
    kmsPolicy: kmsPolicy(kmsKeyArn),
    lifecycle: { Rules: [{ Filter: { Prefix: `${path}/20` } }, {}] },
  });
  const other = 'arn:aws:kms:eu-west-1:111122223333:key/another';
  expect(await policies(accountId, '--kms-key-arn', other)).toMatchObject({ kmsPolicy: kmsPolicy(other) });
  expect(await policies(accountId, '--kms-key-arn', '')).not.toHaveProperty('kmsPolicy');
  // Of another bucket nothing is known.
  expect(await policies(accountId, '--bucket', 'another-bucket')).not.toHaveProperty('kmsPolicy');
});
