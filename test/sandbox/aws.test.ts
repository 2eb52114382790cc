/** What the sandbox adds to the AWS stand-in, by the real clients and without the program's own. */
import { DecryptCommand, KMSClient, type DecryptCommandInput } from '@aws-sdk/client-kms';
import { PutObjectCommand, S3Client, type PutObjectCommandInput } from '@aws-sdk/client-s3';
import { AssumeRoleCommand, STSClient } from '@aws-sdk/client-sts';
import {
  allowWorker,
  CustomerAccount,
  customerAccount,
  KmsKeys,
  setUpVendor,
  startAws,
  vendor,
  type WorkerKeys,
} from '../../sandbox/aws';
import { freePort } from '../../sandbox/ports';
import type { Running } from '../../sandbox/processes';
import { parseAccountId, parseBucketName } from '../../src/dump/inputs';
import { defaultVendorRoleArn, unwrapPolicy, wrappingContext } from '../../src/dump/policies';

const region = 'us-east-1';
const rootOf = (account: string): WorkerKeys => ({ accessKeyId: account, secretAccessKey: 'test' });
let aws: Running;
let endpoint: string;
let worker: WorkerKeys;

beforeAll(async () => {
  const port = await freePort();
  endpoint = `http://127.0.0.1:${port}`;
  aws = await startAws(port, () => {});
  worker = await setUpVendor(endpoint);
});

afterAll(() => aws.stop());

async function assume(credentials: WorkerKeys, RoleArn: string, DurationSeconds: number) {
  const sts = new STSClient({ region, endpoint, credentials });
  const { Credentials } = await sts.send(
    new AssumeRoleCommand({ RoleArn, RoleSessionName: 'session', DurationSeconds }),
  );
  return {
    accessKeyId: Credentials?.AccessKeyId ?? '',
    secretAccessKey: Credentials?.SecretAccessKey ?? '',
    sessionToken: Credentials?.SessionToken ?? '',
  };
}

/** A bucket, and a role of its account that may do `actions` on everything. */
async function newRole(name: string, ...actions: string[]) {
  const bucket = parseBucketName(`${name}-bucket`);
  const customer = new CustomerAccount({ endpoint, accountId: parseAccountId(name), bucket, roleName: name, region });
  await customer.followGuide();
  const [Version, Effect] = ['2012-10-17', 'Allow'] as const;
  const Principal = { AWS: `arn:aws:iam::${customerAccount}:root` };
  await customer.setTrust({ Version, Statement: [{ Effect, Principal, Action: 'sts:AssumeRole' }] });
  const allow = (...allowed: string[]): Promise<void> =>
    customer.setPermissions({ Version, Statement: [{ Effect, Action: allowed, Resource: '*' }] });
  await allow(...actions);
  const session = await assume(rootOf(customerAccount), customer.roleArn, 900);
  const s3 = new S3Client({
    ...{ region, endpoint, forcePathStyle: true, credentials: session },
    // A checksum that nobody asked for would meet what Object Lock demands.
    requestChecksumCalculation: 'WHEN_REQUIRED',
  });
  const put = (more: Partial<PutObjectCommandInput> = {}): Promise<unknown> =>
    s3.send(new PutObjectCommand({ Bucket: bucket, Key: 'a', Body: 'a', ...more })).then(
      () => 'stored',
      (error: unknown) => `${(error as Error).name}: ${(error as Error).message}`,
    );
  const user = `arn:aws:sts::${customerAccount}:assumed-role/${name}/session`;
  return { bucket, customer, allow, put, user };
}

const encryptedBy = (keyArn: string) => ({ ServerSideEncryption: 'aws:kms', SSEKMSKeyId: keyArn }) as const;

const keyPolicy = (Principal: object, Effect = 'Allow') => ({
  Version: '2012-10-17',
  Statement: [{ Effect, Principal, Action: 'kms:*', Resource: '*' }],
});

test('a role assumed from a role lives one hour at most', async () => {
  const session = await assume(worker, defaultVendorRoleArn, 7200);
  await expect(assume(session, defaultVendorRoleArn, 3601)).rejects.toMatchObject({
    name: 'ValidationError',
    message: 'The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining',
  });
});

describe('an object that is put with an ACL', () => {
  const ACL = 'bucket-owner-full-control';

  test('needs s3:PutObjectAcl of the role', async () => {
    const { bucket, allow, put, user } = await newRole('acl', 's3:PutObject');
    expect(await put()).toBe('stored');
    expect(await put({ ACL })).toBe(
      `AccessDenied: User: ${user} is not authorized to perform: s3:PutObjectAcl on resource: arn:aws:s3:::${bucket}/a because no identity-based policy allows the s3:PutObjectAcl action`,
    );
    await allow('s3:PutObject', 's3:PutObjectAcl');
    expect(await put({ ACL })).toBe('stored');
  });

  test('is refused by a bucket policy that denies s3:PutObjectAcl', async () => {
    const { bucket, customer, put } = await newRole('acl-denied', 's3:*');
    const Statement = {
      Effect: 'Deny',
      Principal: '*',
      Action: 's3:PutObjectAcl',
      Resource: `arn:aws:s3:::${bucket}/*`,
    };
    await customer.setBucketPolicy({ Version: '2012-10-17', Statement: [Statement] });
    expect(await put()).toBe('stored');
    expect(await put({ ACL })).toContain('with an explicit deny in a resource-based policy');
  });
});

test('a bucket of another account than the expected one takes nothing', async () => {
  const { put } = await newRole('owner', 's3:*');
  expect(await put({ ExpectedBucketOwner: customerAccount })).toBe('stored');
  expect(await put({ ExpectedBucketOwner: '444455556666' })).toBe('AccessDenied: Access Denied');
});

describe.each(['by the bucket’s default', 'explicitly'])('a key that is given %s', (how) => {
  async function newKey(name: string, ...actions: string[]) {
    const explicitly = how === 'explicitly';
    const { customer, put, ...role } = await newRole(`${name}-${explicitly ? 'explicit' : 'default'}`, ...actions);
    const keyArn = await customer.keys.create();
    if (!explicitly) await customer.encryptWith(keyArn);
    return { ...role, customer, keyArn, put: () => put(explicitly ? encryptedBy(keyArn) : {}) };
  }

  test('needs kms:GenerateDataKey of the role, and nothing else of KMS', async () => {
    const { allow, customer, keyArn, put, user } = await newKey('role-policy', 's3:PutObject');
    expect(await put()).toBe(
      `AccessDenied: User: ${user} is not authorized to perform: kms:GenerateDataKey on resource: ${keyArn} because no identity-based policy allows the kms:GenerateDataKey action`,
    );
    await allow('s3:PutObject', 'kms:GenerateDataKey');
    expect(await put()).toBe('stored');
    expect(await customer.keyOf('a')).toBe(keyArn);
  });

  test('needs the key’s own policy to let the role', async () => {
    const { customer, keyArn, put, user } = await newKey('key-policy', 's3:PutObject', 'kms:*');
    await customer.keys.setPolicy(keyArn, keyPolicy({ AWS: `arn:aws:iam::${customerAccount}:user/admin` }));
    expect(await put()).toBe(
      `AccessDenied: User: ${user} is not authorized to perform: kms:GenerateDataKey on resource: ${keyArn} because no resource-based policy allows the kms:GenerateDataKey action`,
    );
    await customer.keys.setPolicy(keyArn, keyPolicy({ AWS: customer.roleArn }));
    expect(await put()).toBe('stored');
    await customer.keys.setPolicy(keyArn, keyPolicy({ AWS: customer.roleArn }, 'Deny'));
    expect(await put()).toContain(
      `kms:GenerateDataKey on resource: ${keyArn} with an explicit deny in a resource-based policy`,
    );
  });

  test('must be enabled', async () => {
    const { customer, keyArn, put } = await newKey('state', 's3:PutObject', 'kms:GenerateDataKey');
    await customer.keys.disable(keyArn);
    expect(await put()).toBe(`KMS.DisabledException: ${keyArn} is disabled.`);
    await customer.keys.enable(keyArn);
    expect(await put()).toBe('stored');
    await customer.keys.scheduleDeletion(keyArn);
    expect(await put()).toBe(`KMS.KMSInvalidStateException: ${keyArn} is pending deletion.`);
  });
});

test.each([
  ['exist', region, (keyArn: string) => `Key '${keyArn}' does not exist`],
  ['be in the region of the bucket', 'eu-west-1', () => 'Invalid arn eu-west-1'],
])('a key must %s', async (_what, keyRegion, said) => {
  const { put } = await newRole(`no-key-${keyRegion}`, 's3:PutObject', 'kms:GenerateDataKey');
  const keyArn = `arn:aws:kms:${keyRegion}:${customerAccount}:key/1234abcd-12ab-34cd-56ef-1234567890ab`;
  expect(await put(encryptedBy(keyArn))).toBe(`KMS.NotFoundException: ${said(keyArn)}`);
});

test('a bucket policy can demand the header of encryption, and the key in it, and exempt a role', async () => {
  const { bucket, customer, put } = await newRole('headers', 's3:PutObject', 's3:PutObjectAcl', 'kms:GenerateDataKey');
  const [keyArn, otherKeyArn] = [await customer.keys.create(), await customer.keys.create()];
  const demand = (...conditions: object[]): Promise<void> =>
    customer.setBucketPolicy({
      Version: '2012-10-17',
      Statement: conditions.map((Condition) => ({
        ...{ Effect: 'Deny', Principal: '*', Action: 's3:Put*', Resource: `arn:aws:s3:::${bucket}/*` },
        Condition,
      })),
    });
  const withoutHeader = { Null: { 's3:x-amz-server-side-encryption': 'true' } };
  const withoutKey = { StringNotEquals: { 's3:x-amz-server-side-encryption-aws-kms-key-id': keyArn } };
  const denied = expect.stringContaining('with an explicit deny in a resource-based policy') as string;

  await customer.encryptWith(keyArn);
  await demand(withoutHeader, withoutKey);
  // The policy sees what is asked for, not what the bucket adds.
  expect(await put()).toEqual(denied);
  expect(await put(encryptedBy(otherKeyArn))).toEqual(denied);
  expect(await put({ ...encryptedBy(keyArn), ACL: 'bucket-owner-full-control' })).toBe('stored');
  await demand({ ...withoutHeader, ArnNotEquals: { 'aws:PrincipalArn': customer.roleArn } });
  expect(await put()).toBe('stored');
  await demand({ ...withoutHeader, ArnNotEquals: { 'aws:PrincipalArn': `${customer.roleArn}-2` } });
  expect(await put()).toEqual(denied);
});

test('a bucket that locks its objects takes them with a checksum only', async () => {
  const { customer, put } = await newRole('locked', 's3:PutObject');
  await customer.lockObjects(1);
  expect(await put()).toBe(
    'InvalidRequest: Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters',
  );
  expect(await put({ ChecksumAlgorithm: 'CRC32C' })).toBe('stored');
});

test('a bucket with ACLs switched off takes no ACL but the owner’s', async () => {
  const { put } = await newRole('no-acls', 's3:*');
  expect(await put({ ACL: 'bucket-owner-full-control' })).toBe('stored');
  expect(await put({ ACL: 'public-read' })).toBe('AccessControlListNotSupported: The bucket does not allow ACLs');
});

describe('what KMS has wrapped', () => {
  /** Of the vendor's account, as payload keys are. */
  async function wrapped() {
    const keys = new KmsKeys(vendor.account, endpoint, region);
    const KeyId = await keys.create();
    const CiphertextBlob = Buffer.from((await keys.wrapNew(KeyId)).split(' ')[1] ?? '', 'base64');
    const decrypt = (changes: Partial<DecryptCommandInput> = {}, credentials = rootOf(vendor.account)) => {
      const input = { KeyId, CiphertextBlob, EncryptionContext: wrappingContext, ...changes };
      return new KMSClient({ region, endpoint, credentials }).send(new DecryptCommand(input)).then(
        () => 'decrypted',
        ({ name }: Error) => name,
      );
    };
    return { keys, KeyId, CiphertextBlob, decrypt };
  }
  const EncryptionContext = { purpose: 'something-else' };

  test('is decrypted whole, in its context, by the key that is named', async () => {
    const { keys, KeyId, CiphertextBlob, decrypt } = await wrapped();
    expect(await decrypt()).toBe('decrypted');
    expect(await decrypt({ EncryptionContext })).toBe('InvalidCiphertextException');
    for (const at of [90, CiphertextBlob.length - 1]) {
      const changed = CiphertextBlob.with(at, (CiphertextBlob[at] ?? 0) ^ 1);
      expect(await decrypt({ CiphertextBlob: changed })).toBe('InvalidCiphertextException');
    }
    expect(await decrypt({ KeyId: await keys.create() })).toBe('IncorrectKeyException');
    const missing = KeyId.replace(/key.*/, 'key/1234abcd-12ab-34cd-56ef-1234567890ab');
    expect(await decrypt({ KeyId: missing })).toBe('NotFoundException');
  });

  test('needs kms:Decrypt of whoever asks, and the context that the policy asks for', async () => {
    const { KeyId, decrypt } = await wrapped();
    expect(await decrypt({}, worker)).toBe('AccessDeniedException');
    await allowWorker(endpoint, unwrapPolicy(KeyId));
    expect(await decrypt({}, worker)).toBe('decrypted');
    expect(await decrypt({ EncryptionContext }, worker)).toBe('AccessDeniedException');
  });
});
