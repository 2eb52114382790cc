/** Buckets encrypted with a KMS key, and permissions that are missing, through the real clients. */
import { CustomerAccount, customerAccount, setUpVendor, startAws } from '../../sandbox/aws';
import { freePort, type Running } from '../../sandbox/processes';
import { identityOfDump } from '../../src/contract';
import { parseAccountId, parseBucketName, parseDestination } from '../../src/dump/inputs';
import { defaultVendorRoleArn, kmsPolicy, permissionPolicy } from '../../src/dump/policies';
import { S3CustomerBuckets, type PutObject } from '../../src/stores/customer-bucket';

const { folder } = identityOfDump('dump/acc_7Hq2/2023-01-02T15:04');
const named = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN', 'AWS_ENDPOINT_URL'] as const;
const before = Object.fromEntries(named.map((name) => [name, process.env[name]]));
let aws: Running;
let endpoint: string;

beforeAll(async () => {
  const port = await freePort();
  endpoint = `http://127.0.0.1:${port}`;
  aws = await startAws(port, () => {});
  const keys = await setUpVendor(endpoint);
  process.env['AWS_ACCESS_KEY_ID'] = keys.accessKeyId;
  process.env['AWS_SECRET_ACCESS_KEY'] = keys.secretAccessKey;
  process.env['AWS_ENDPOINT_URL'] = endpoint;
  delete process.env['AWS_SESSION_TOKEN'];
});

afterAll(async () => {
  for (const [name, value] of Object.entries(before)) {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
  await aws.stop();
});

async function newCustomer(name: string) {
  const accountId = parseAccountId(name);
  const bucket = parseBucketName(`${name}-bucket`);
  const customer = new CustomerAccount({ endpoint, accountId, bucket, roleName: name, region: 'us-east-1' });
  await customer.followGuide();
  const put = (extra: object = {}, object: Partial<PutObject> = {}): Promise<unknown> =>
    new S3CustomerBuckets({ vendorRoleArn: defaultVendorRoleArn, region: 'us-east-1', forcePathStyle: true })
      .open({ accountId, settings: parseDestination({ roleArn: customer.roleArn, bucket, ...extra }), folder })
      .put({ key: 'a', contentType: 'application/json', body: '{}', ...object }, new AbortController().signal)
      .then(
        () => 'stored',
        (error: unknown) => error,
      );
  const allowKey = (keyArn: string): Promise<void> =>
    customer.setPermissions({
      Version: '2012-10-17',
      Statement: [...permissionPolicy(bucket).Statement, ...kmsPolicy(keyArn).Statement],
    });
  return { bucket, customer, put, allowKey };
}

const failureOfType = (type: string, remedy: string): unknown =>
  expect.objectContaining({ type, message: expect.stringContaining(remedy) as string });

test('a put needs s3:PutObjectAcl, and the policy to set is named', async () => {
  const { bucket, customer, put } = await newCustomer('no-acl');
  const [statement] = permissionPolicy(bucket).Statement;
  if (statement === undefined) throw new Error('The permission policy is empty');
  await customer.setPermissions({ Version: '2012-10-17', Statement: [{ ...statement, Action: 's3:PutObject' }] });
  expect(await put()).toEqual(failureOfType('BucketAccessDenied', 'perform: s3:PutObjectAcl on resource'));
});

test("a bucket that is not the expected account's takes nothing", async () => {
  const { put } = await newCustomer('wrong-owner');
  expect(await put({ bucketOwner: '444455556666' })).toEqual(
    failureOfType('BucketAccessDenied', 'the bucket must belong to account 444455556666'),
  );
});

test.each(['by default', 'explicitly'])('with a key given %s, each missing permission on it is named', async (how) => {
  const { customer, put, allowKey } = await newCustomer(how === 'explicitly' ? 'explicit' : 'default');
  const keyArn = await customer.keys.create();
  if (how === 'by default') await customer.encryptWith(keyArn);
  const extra = how === 'explicitly' ? { kmsKeyArn: keyArn } : {};
  const denied = failureOfType('KmsDenied', JSON.stringify(kmsPolicy(keyArn)));

  expect(await put(extra)).toEqual(denied);
  await allowKey(keyArn);
  expect(await put(extra)).toBe('stored');
  expect(await customer.keyOf('a')).toBe(keyArn);
  const now = Date.now();
  const validity = { fromMs: now - 10_000, untilMs: now + 60_000 };
  expect(await put(extra, { key: 'receipt.json', validity })).toBe('stored');
  expect(await customer.keyOf('receipt.json')).toBe(keyArn);

  await customer.keys.disable(keyArn);
  expect(await put(extra)).toEqual(denied);
  await customer.keys.enable(keyArn);
  const onlyAdmin = { AWS: `arn:aws:iam::${customerAccount}:user/admin` };
  const Statement = [{ Effect: 'Allow', Principal: onlyAdmin, Action: 'kms:*', Resource: '*' }];
  await customer.keys.setPolicy(keyArn, { Version: '2012-10-17', Statement });
  expect(await put(extra)).toEqual(denied);
});
