/** What AWS refuses, as far as the stand-in can stage it: each comes with what to change, and that helps. */
import { GetCallerIdentityCommand, GetSessionTokenCommand, STSClient } from '@aws-sdk/client-sts';
import { CustomerAccount, customerAccount, letVendorRoleAssume, setUpVendor, startAws } from '../../sandbox/aws';
import { freePort } from '../../sandbox/ports';
import type { Running } from '../../sandbox/processes';
import { identityOfDump } from '../../src/contract';
import { parseAccountId, parseBucketName, parseDestination, parseRoleArn } from '../../src/dump/inputs';
import {
  assumePolicy,
  defaultVendorRoleArn,
  exemption,
  keyPolicyStatement,
  kmsPolicy,
  permissionPolicy,
} from '../../src/dump/policies';
import { S3CustomerBuckets, type PutObject } from '../../src/stores/customer-bucket';
import { workerIdentityPatienceMs } from '../../src/timing';
import { FaultProxy, type Answer, type Armed, type Asked } from '../end-to-end/fault-proxy';
import { eventually } from '../eventually';
import { FakeBytes } from '../fakes';

const { folder } = identityOfDump('dump/acc_7Hq2/2023-01-02T15:04');
const environmentBefore = { ...process.env };
let aws: Running;
let endpoint: string;
let proxy: FaultProxy;
let armed: Armed[] = [];

beforeAll(async () => {
  const port = await freePort();
  endpoint = `http://127.0.0.1:${port}`;
  aws = await startAws(port, () => {});
  proxy = await FaultProxy.start(endpoint);
  const { accessKeyId, secretAccessKey } = await setUpVendor(endpoint);
  process.env['AWS_ENDPOINT_URL'] = proxy.url;
  runAs({ AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey });
});

afterEach(() => {
  jest.restoreAllMocks();
  for (const fault of armed) fault.release();
  armed = [];
});

afterAll(async () => {
  process.env = environmentBefore;
  await proxy.stop();
  await aws.stop();
});

interface Keys {
  readonly AWS_ACCESS_KEY_ID?: string;
  readonly AWS_SECRET_ACCESS_KEY?: string;
  readonly AWS_SESSION_TOKEN?: string;
}

/** What the worker finds in its environment; returns what it found before. */
function runAs(keys: Keys): Keys {
  const before: Record<string, string | undefined> = {};
  for (const name of ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN'] as const) {
    before[name] = process.env[name];
    if (keys[name] === undefined) delete process.env[name];
    else process.env[name] = keys[name];
  }
  return before;
}

const newBuckets = (): S3CustomerBuckets =>
  new S3CustomerBuckets({ vendorRoleArn: defaultVendorRoleArn, region: 'us-east-1', forcePathStyle: true });

async function newCustomer(name: string, region = 'us-east-1') {
  const accountId = parseAccountId(name);
  const bucket = parseBucketName(`${name}-bucket`);
  const customer = new CustomerAccount({ endpoint, accountId, bucket, roleName: name, region });
  await customer.followGuide();
  const put = (extra: object = {}, object: Partial<PutObject> = {}, buckets = newBuckets()): Promise<unknown> =>
    buckets
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
  const deny = (Condition: object, Principal: object | string = '*'): Promise<void> =>
    customer.setBucketPolicy({
      Version: '2012-10-17',
      Statement: [
        { Effect: 'Deny', Principal, Action: 's3:PutObject*', Resource: `arn:aws:s3:::${bucket}/*`, Condition },
      ],
    });
  return { bucket, customer, put, allowKey, deny };
}

const failureOfType = (type: string, ...told: string[]): unknown =>
  expect.objectContaining({
    type,
    message: expect.stringMatching(new RegExp(told.map(quoted).join('[^]*'))) as string,
  });

const quoted = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

/** A shard's body, of the stored CRC32C. */
const hello = {
  open: async () => new FakeBytes(['hello']),
  readFailure: (error: unknown) => error as Error,
};

test('a put needs s3:PutObjectAcl, and the policy to set is named', async () => {
  const { bucket, customer, put } = await newCustomer('no-acl');
  const [statement] = permissionPolicy(bucket).Statement;
  if (statement === undefined) throw new Error('The permission policy is empty');
  await customer.setPermissions({ Version: '2012-10-17', Statement: [{ ...statement, Action: 's3:PutObject' }] });
  const { Statement } = permissionPolicy(bucket);
  expect(await put()).toEqual(
    failureOfType('BucketAccessDenied', 'perform: s3:PutObjectAcl on resource', JSON.stringify(Statement)),
  );
});

test("a bucket that is not the expected account's takes nothing", async () => {
  const { put } = await newCustomer('wrong-owner');
  expect(await put({ bucketOwner: '444455556666' })).toEqual(
    failureOfType('BucketAccessDenied', 'the bucket must belong to account 444455556666'),
  );
});

describe('a bucket policy', () => {
  test('that denies is named, and the condition that exempts the role from it helps', async () => {
    const { customer, deny, put } = await newCustomer('denied');
    const insecure = { Bool: { 'aws:SecureTransport': 'false' } };
    await deny(insecure);
    const { ArnNotEquals } = exemption(parseRoleArn(customer.roleArn));
    expect(await put()).toEqual(
      failureOfType('BucketAccessDenied', "the bucket's policy denies it", JSON.stringify({ ArnNotEquals })),
    );
    await deny({ ...insecure, ArnNotEquals });
    expect(await put()).toBe('stored');
    await deny({}, { AWS: customer.roleArn });
    expect(await put()).toEqual(failureOfType('BucketAccessDenied', "the bucket's policy denies it"));
  });

  test.each([
    ['a header of encryption', () => ({ Null: { 's3:x-amz-server-side-encryption': 'true' } })],
    ['aws:kms', () => ({ StringNotEquals: { 's3:x-amz-server-side-encryption': 'aws:kms' } })],
    ['one key', (key: string) => ({ StringNotEquals: { 's3:x-amz-server-side-encryption-aws-kms-key-id': key } })],
  ])('that demands %s is met by a key that the destination names, as the refusal says', async (what, condition) => {
    const { allowKey, customer, deny, put } = await newCustomer(`demands-${what.replace(/\W/g, '-')}`);
    const keyArn = await customer.keys.create();
    await allowKey(keyArn);
    // What the bucket adds by itself does not meet it.
    await customer.encryptWith(keyArn);
    await deny(condition(keyArn));
    expect(await put()).toEqual(
      failureOfType('BucketAccessDenied', 'where the statement demands aws:kms, connect again with --kms-key-arn'),
    );
    expect(await put({ kmsKeyArn: keyArn })).toBe('stored');
  });
});

test('a bucket that locks its objects takes all that a dump puts; a receipt becomes a new version, as nothing goes', async () => {
  const { customer, put } = await newCustomer('locked');
  await customer.lockObjects(30);
  expect(await put({}, { key: 'shard.gz', body: hello })).toBe('stored');
  for (const body of ['{"older":1}', '{"newer":1}']) {
    const fromMs = Date.now() - 10_000;
    const validity = { fromMs, untilMs: fromMs + 60_000 };
    expect(await put({}, { key: 'receipt.json', body, validity })).toBe('stored');
  }
  expect(await customer.versions('receipt.json')).toMatchObject([{ IsLatest: true }, { IsLatest: false }]);
  expect(Buffer.from((await customer.read('receipt.json')).bytes).toString()).toBe('{"newer":1}');
});

test.each(['BucketOwnerEnforced', 'BucketOwnerPreferred', 'ObjectWriter'] as const)(
  'the ACL of our puts is taken whether ACLs are switched off or on: %s',
  async (ownership) => {
    const { customer, put } = await newCustomer(ownership.toLowerCase());
    await customer.setOwnership(ownership);
    expect(await put()).toBe('stored');
  },
);

describe.each(['by default', 'explicitly'])('a key that is given %s', (how) => {
  async function newKey(name: string) {
    const explicitly = how === 'explicitly';
    const { customer, put, allowKey } = await newCustomer(`${name}-${explicitly ? 'explicit' : 'default'}`);
    const keyArn = await customer.keys.create();
    if (!explicitly) await customer.encryptWith(keyArn);
    const extra = explicitly ? { kmsKeyArn: keyArn } : {};
    return { allowKey, customer, keyArn, put: (object = {}) => put(extra, object) };
  }

  test('is used by all that a dump puts; without the role’s permission, its policy is named', async () => {
    const { allowKey, customer, keyArn, put } = await newKey('role');
    expect(await put()).toEqual(failureOfType('KmsDenied', `needs the policy ${JSON.stringify(kmsPolicy(keyArn))}.`));
    await allowKey(keyArn);
    expect(await put()).toBe('stored');
    const fromMs = Date.now() - 10_000;
    expect(await put({ key: 'receipt.json', validity: { fromMs, untilMs: fromMs + 60_000 } })).toBe('stored');
    for (const key of ['a', 'receipt.json']) expect(await customer.keyOf(key)).toBe(keyArn);
  });

  test('whose own policy does not let the role comes with the statement that does', async () => {
    const { allowKey, customer, keyArn, put } = await newKey('key');
    await allowKey(keyArn);
    const admin = { AWS: `arn:aws:iam::${customerAccount}:user/admin` };
    const ofAdmin = { Effect: 'Allow', Principal: admin, Action: 'kms:*', Resource: '*' };
    await customer.keys.setPolicy(keyArn, { Version: '2012-10-17', Statement: [ofAdmin] });
    const needed = keyPolicyStatement(parseRoleArn(customer.roleArn));
    expect(await put()).toEqual(
      failureOfType('KmsDenied', `the key's own policy must have the statement ${JSON.stringify(needed)}.`),
    );
    await customer.keys.setPolicy(keyArn, { Version: '2012-10-17', Statement: [ofAdmin, needed] });
    expect(await put()).toBe('stored');
  });

  test('that cannot be used comes with what to do about its state', async () => {
    const { allowKey, customer, keyArn, put } = await newKey('state');
    await allowKey(keyArn);
    await customer.keys.disable(keyArn);
    expect(await put()).toEqual(failureOfType('KmsDenied', `aws kms enable-key --key-id ${keyArn}`));
    await customer.keys.enable(keyArn);
    expect(await put()).toBe('stored');
    await customer.keys.scheduleDeletion(keyArn);
    expect(await put()).toEqual(failureOfType('KmsDenied', `aws kms cancel-key-deletion --key-id ${keyArn}`));
  });
});

test.each([
  ['does not exist', 'us-east-1'],
  ['is of another region', 'eu-west-1'],
])('a key that %s is told', async (_what, region) => {
  const { allowKey, bucket, put } = await newCustomer(`no-key-${region}`);
  const kmsKeyArn = `arn:aws:kms:${region}:${customerAccount}:key/1234abcd-12ab-34cd-56ef-1234567890ab`;
  await allowKey(kmsKeyArn);
  expect(await put({ kmsKeyArn })).toEqual(
    failureOfType('KmsDenied', `the key must exist and be in the region of the bucket ${bucket}: connect again`),
  );
});

const errorOf = (Code: string, Message: string, more = ''): string =>
  `<Error><Code>${Code}</Code><Message>${Message}</Message>${more}</Error>`;
const xml = (status: number, body: string): Answer => ({ status, contentType: 'application/xml', body });
const isPut = ({ method }: Asked): boolean => method === 'PUT';
const answerOnce = (matches: (asked: Asked) => boolean, answer: Answer): void =>
  void armed.push(proxy.arm({ matches, effect: { kind: 'answer', after: 'nothing', answer } }));

describe('a bucket of another region', () => {
  const malformed = "The authorization header is malformed; the region 'us-east-1' is wrong; expecting 'eu-west-1'";
  const incompatible = 'location constraint is incompatible for the region specific endpoint this request was sent to.';

  test.each([
    ['AuthorizationHeaderMalformed', errorOf('AuthorizationHeaderMalformed', malformed, '<Region>eu-west-1</Region>')],
    [
      'IllegalLocationConstraintException',
      errorOf('IllegalLocationConstraintException', `The eu-west-1 ${incompatible}`),
    ],
  ])('is found by %s', async (name, body) => {
    const { customer, put } = await newCustomer(`region-${name.toLowerCase().slice(0, 20)}`, 'eu-west-1');
    answerOnce(isPut, xml(400, body));
    expect(await put({}, { body: hello })).toBe('stored');
    expect((await customer.objects()).map(({ Key }) => Key)).toEqual(['a']);
  });

  test('that S3 does not name is ours to find, and nothing is tried for days', async () => {
    const { put } = await newCustomer('region-unnamed', 'eu-west-1');
    answerOnce(isPut, xml(301, errorOf('PermanentRedirect', 'Send all future requests to this endpoint.')));
    expect(await put()).toEqual(failureOfType('VendorSetUpRefused', "set the workers' AWS_REGION to it"));
  });
});

test("a worker's clock that is an hour fast is told; the client has corrected it by the next put", async () => {
  const { put } = await newCustomer('skewed');
  const now = Date.now.bind(Date);
  jest.spyOn(Date, 'now').mockImplementation(() => now() + 3_600_000);
  const buckets = newBuckets();
  expect(await put({}, {}, buckets)).toEqual(
    failureOfType('Transient', 'RequestTimeTooSkewed', "the worker's clock is wrong"),
  );
  expect(await put({}, {}, buckets)).toBe('stored');
});

describe('credentials of the worker itself', () => {
  /** Of the worker's user, for a second. */
  async function expiredSession(): Promise<Keys> {
    const { Credentials } = await new STSClient({ region: 'us-east-1' }).send(
      new GetSessionTokenCommand({ DurationSeconds: 1 }),
    );
    const { AccessKeyId = '', SecretAccessKey = '', SessionToken = '' } = Credentials ?? {};
    const credentials = { accessKeyId: AccessKeyId, secretAccessKey: SecretAccessKey, sessionToken: SessionToken };
    const sts = new STSClient({ region: 'us-east-1', credentials });
    const who = (): Promise<string> =>
      sts.send(new GetCallerIdentityCommand({})).then(
        () => 'known',
        ({ name }) => String(name),
      );
    await eventually(who, (name) => name === 'ExpiredToken');
    return { AWS_ACCESS_KEY_ID: AccessKeyId, AWS_SECRET_ACCESS_KEY: SecretAccessKey, AWS_SESSION_TOKEN: SessionToken };
  }

  const none: Keys = {};
  test.each([
    ['have expired', expiredSession, "The worker's own AWS credentials have expired", 'ExpiredToken'],
    ['are missing', async () => none, 'The worker has no AWS credentials of its own', 'CredentialsProviderError'],
  ])(
    'that %s: tried again for a while, then a person is told; once renewed, it goes on',
    async (how, keys, problem, name) => {
      const { put } = await newCustomer(`worker-${how.replace(' ', '-')}`);
      const nowhere = {
        AWS_EC2_METADATA_DISABLED: 'true',
        AWS_SHARED_CREDENTIALS_FILE: '/none',
        AWS_CONFIG_FILE: '/none',
      };
      const before = runAs(await keys());
      Object.assign(process.env, nowhere);
      try {
        const buckets = newBuckets();
        expect(await put({}, {}, buckets)).toEqual(failureOfType('Transient', problem, name, 'For us to mend'));
        const now = Date.now.bind(Date);
        jest.spyOn(Date, 'now').mockImplementation(() => now() + workerIdentityPatienceMs);
        expect(await put({}, {}, buckets)).toEqual(
          failureOfType('VendorRoleNotAssumable', problem, name, 'restart it'),
        );
      } finally {
        runAs(before);
        for (const variable of Object.keys(nowhere)) delete process.env[variable];
      }
      jest.restoreAllMocks();
      expect(await put()).toBe('stored');
    },
  );
});

test('a vendor role that may not assume the customer role is ours to mend, by the policy that is named', async () => {
  const { customer, put } = await newCustomer('vendor-policy');
  await letVendorRoleAssume(endpoint, `${customer.roleArn}-2`);
  expect(await put()).toEqual(failureOfType('VendorSetUpRefused', JSON.stringify(assumePolicy(customer.roleArn))));
  await letVendorRoleAssume(endpoint, customer.roleArn);
  expect(await put()).toBe('stored');
  await letVendorRoleAssume(endpoint, '*');
});

test.each([
  ['RegionDisabledException', 403, "set the workers' AWS_REGION"],
  ['MalformedPolicyDocument', 400, 'the session policy'],
  ['PackedPolicyTooLarge', 400, 'the session policy'],
  ['ValidationError', 400, 'see what STS says above'],
])('a session that STS makes for nobody is ours to mend: %s', async (code, status, remedy) => {
  const { put } = await newCustomer(`sts-${code.toLowerCase()}`);
  answerOnce(
    ({ body }) => body.includes('ExternalId'),
    xml(status, `<ErrorResponse>${errorOf(code, 'no')}</ErrorResponse>`),
  );
  expect(await put()).toEqual(failureOfType('VendorSetUpRefused', 'the vendor role assumes the customer role', remedy));
});
