/** STS and S3 through the real client, against an AWS stand-in that checks who may do what. */
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { ApplicationFailure } from '@temporalio/common';
import { CustomerAccount, setUpVendor, startAws } from '../../sandbox/aws';
import { freePort } from '../../sandbox/ports';
import type { Running } from '../../sandbox/processes';
import { identityOfDump, type AccountId } from '../../src/contract';
import { parseAccountId, parseBucketName, parseDestination, parsePath } from '../../src/dump/inputs';
import { defaultVendorRoleArn, permissionPolicy, sessionPolicy, trustPolicy } from '../../src/dump/policies';
import { isSessionOf, S3CustomerBuckets, type Delivery, type StreamedBody } from '../../src/stores/customer-bucket';
import { FakeBytes } from '../fakes';
import { FaultProxy } from '../end-to-end/fault-proxy';

const { folder } = identityOfDump('dump/acc_7Hq2/2023-01-02T15:04');
const never = new AbortController().signal;
const named = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN', 'AWS_ENDPOINT_URL'] as const;
const before = Object.fromEntries(named.map((name) => [name, process.env[name]]));

let aws: Running;
let endpoint: string;
let proxy: FaultProxy;

beforeAll(async () => {
  const port = await freePort();
  endpoint = `http://127.0.0.1:${port}`;
  aws = await startAws(port, () => {});
  proxy = await FaultProxy.start(endpoint);
  const keys = await setUpVendor(endpoint);
  process.env['AWS_ACCESS_KEY_ID'] = keys.accessKeyId;
  process.env['AWS_SECRET_ACCESS_KEY'] = keys.secretAccessKey;
  process.env['AWS_ENDPOINT_URL'] = proxy.url;
  delete process.env['AWS_SESSION_TOKEN'];
});

beforeEach(() => {
  proxy.recorded.length = 0;
});

afterAll(async () => {
  for (const [name, value] of Object.entries(before)) {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
  await proxy.stop();
  await aws.stop();
});

const newBuckets = (vendorRoleArn = defaultVendorRoleArn): S3CustomerBuckets =>
  new S3CustomerBuckets({ vendorRoleArn, region: 'us-east-1', forcePathStyle: true });

/** A customer of its own who has followed the guide, and what is delivered to him. */
async function newCustomer(name: string, { region = 'us-east-1', path }: { region?: string; path?: string } = {}) {
  const accountId: AccountId = parseAccountId(name);
  const bucket = parseBucketName(`${name}-bucket`);
  const customer = new CustomerAccount({ endpoint, accountId, bucket, roleName: name, region });
  await customer.followGuide();
  const delivery: Delivery = {
    accountId,
    settings: parseDestination({ roleArn: customer.roleArn, bucket, path }),
    folder,
  };
  return { accountId, bucket, customer, delivery };
}

const small = (key: string) => ({ key, contentType: 'application/json', body: '{}' }) as const;

function streamed(key: string, open: StreamedBody['open'] = async () => new FakeBytes(['hello'])) {
  const readFailure = (error: unknown): Error => new Error(`reading failed: ${String(error)}`);
  return { key, contentType: 'application/gzip', body: { open, readFailure } } as const;
}

const failureOf = (put: Promise<void>): Promise<unknown> =>
  put.then(
    () => 'it was put',
    (error: unknown) => error,
  );

test('small and streamed bodies are stored as they are, with their content types', async () => {
  const { customer, delivery } = await newCustomer('plain');
  const bucket = newBuckets().open(delivery);
  await bucket.put(small('a.json'), never);
  await bucket.put(streamed('b.gz'), never);
  expect(await customer.read('a.json')).toMatchObject({ contentType: 'application/json' });
  expect(await customer.read('b.gz')).toMatchObject({ contentType: 'application/gzip', contentEncoding: undefined });
  expect(Buffer.from((await customer.read('b.gz')).bytes).toString()).toBe('hello');
});

test('one chain of roles serves many puts', async () => {
  const { delivery } = await newCustomer('cached');
  const buckets = newBuckets();
  for (const key of ['1', '2', '3']) await buckets.open(delivery).put(small(key), never);
  expect(proxy.recorded.filter(({ action }) => action === 'AssumeRole')).toHaveLength(2);
});

test('a bucket of another region is found by its redirect, side by side too, and remembered', async () => {
  const { delivery } = await newCustomer('elsewhere', { region: 'eu-west-1' });
  const bucket = newBuckets().open(delivery);
  let opened = 0;
  const open = async (): Promise<FakeBytes> => {
    opened += 1;
    return new FakeBytes(['he', 'llo']);
  };
  await Promise.all(['1', '2', '3'].map((key) => bucket.put(streamed(key, open), never)));
  expect(opened).toBe(6);
  proxy.recorded.length = 0;
  await bucket.put(streamed('4'), never);
  expect(proxy.recorded.map(({ status }) => status)).toEqual([200]);
});

test('a damaged body is refused by S3, and may be tried again', async () => {
  const { customer, delivery } = await newCustomer('damaged');
  const failure = await failureOf(
    newBuckets()
      .open(delivery)
      .put(
        streamed('a.gz', async () => new FakeBytes(['hello'], 'AAAAAA==')),
        never,
      ),
  );
  expect(failure).toMatchObject({
    type: 'Transient',
    nonRetryable: false,
    message: expect.stringContaining('BadDigest') as string,
  });
  expect(await customer.objects()).toEqual([]);
});

test('a body that breaks while it is read is a failure to read, not of S3', async () => {
  const { customer, delivery } = await newCustomer('broken');
  const open = async () => new FakeBytes(['he', new Error('connection reset')]);
  const failure = await failureOf(newBuckets().open(delivery).put(streamed('a.gz', open), never));
  expect(String(failure)).toContain('reading failed: Error: connection reset');
  expect(await customer.objects()).toEqual([]);
});

test('a body that cannot be opened is a failure of its own', async () => {
  const { customer, delivery } = await newCustomer('unopened');
  const gone = new Error('there is no such file');
  const open = (): Promise<never> => Promise.reject(gone);
  const failure = await failureOf(newBuckets().open(delivery).put(streamed('a.gz', open), never));
  expect(failure).toMatchObject({ cause: { message: gone.message } });
  expect(await customer.objects()).toEqual([]);
});

test('a put that is answered before its body has ended leaves no connection behind', async () => {
  const { delivery } = await newCustomer('hasty');
  const closed = Promise.withResolvers<string>();
  const server = http.createServer((request, response) => {
    request.socket.once('close', () => closed.resolve('closed'));
    response.writeHead(403, { 'content-type': 'application/xml' }).end('<Error><Code>AccessDenied</Code></Error>');
  });
  server.keepAliveTimeout = 0;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  process.env['AWS_ENDPOINT_URL_S3'] = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  try {
    const open = async () => new FakeBytes(['he', undefined]);
    const put = newBuckets().open(delivery).put(streamed('exports/hasty.gz', open), never);
    expect(await failureOf(put)).toMatchObject({ type: 'BucketAccessDenied' });
    expect(await closed.promise).toBe('closed');
  } finally {
    delete process.env['AWS_ENDPOINT_URL_S3'];
    server.closeAllConnections();
    server.close();
  }
});

test('a put with a limit is taken within it, in another region too', async () => {
  const { customer, delivery } = await newCustomer('in-time', { region: 'eu-west-1' });
  const fromMs = Date.now() - 20_000;
  const validity = { fromMs, untilMs: fromMs + 25_000 };
  await newBuckets()
    .open(delivery)
    .put({ ...small('receipt.json'), validity }, never);
  expect(await customer.read('receipt.json')).toMatchObject({ contentType: 'application/json' });
  expect(proxy.recorded.at(-1)?.headers).toMatchObject({
    'x-amz-acl': 'bucket-owner-full-control',
    'x-amz-expected-bucket-owner': '111122223333',
    'x-amz-checksum-crc32c': expect.any(String) as string,
  });
});

test('a put that comes after its limit is refused by S3 itself, and is nobody’s fault', async () => {
  const { customer, delivery } = await newCustomer('too-late');
  const fromMs = Date.now() - 30_000;
  const validity = { fromMs, untilMs: fromMs + 25_000 };
  const put = newBuckets()
    .open(delivery)
    .put({ ...small('receipt.json'), validity }, never);
  expect(await failureOf(put)).toMatchObject({
    type: 'Transient',
    message: expect.stringContaining('Request has expired') as string,
  });
  expect(proxy.recorded.at(-1)).toMatchObject({ method: 'PUT', status: 403 });
  expect(await customer.objects()).toEqual([]);
});

test('after a refusal the next put has a new session: the old one may have been revoked', async () => {
  const { bucket, customer, delivery } = await newCustomer('revoked');
  const buckets = newBuckets();
  const keysUsed = (): Set<string | undefined> =>
    new Set(
      proxy.recorded.flatMap(({ method, headers }) =>
        method === 'PUT' ? [/Credential=([^/]+)/.exec(headers.authorization ?? '')?.[1]] : [],
      ),
    );
  await buckets.open(delivery).put(small('1'), never);
  await customer.setPermissions(permissionPolicy(parseBucketName('another-bucket')));
  expect(await failureOf(buckets.open(delivery).put(small('2'), never))).toMatchObject({ type: 'BucketAccessDenied' });
  expect(keysUsed().size).toBe(1);
  await customer.setPermissions(permissionPolicy(bucket));
  await buckets.open(delivery).put(small('2'), never);
  expect(keysUsed().size).toBe(2);
});

test('a put that is cancelled has not failed', async () => {
  const { delivery } = await newCustomer('cancelled');
  const failure = await failureOf(newBuckets().open(delivery).put(small('a'), AbortSignal.abort()));
  expect(failure).not.toBeInstanceOf(ApplicationFailure);
  expect(failure).toMatchObject({ name: 'AbortError' });
});

test('a role that does not trust us, or a customer of another external id, is named with the policy to set', async () => {
  const { accountId, customer, delivery } = await newCustomer('distrust');
  await customer.setTrust(trustPolicy(parseAccountId('somebody-else')));
  const failure = await failureOf(newBuckets().open(delivery).put(small('a'), never));
  expect(failure).toMatchObject({ type: 'RoleNotAssumable', nonRetryable: true });
  expect(String(failure)).toContain(JSON.stringify(trustPolicy(accountId)));
  await expect(newBuckets().proveAccess(delivery)).rejects.toMatchObject({ type: 'RoleNotAssumable' });
});

test('a role that wants the external id lets nobody in without it; one that does not is found out', async () => {
  const { accountId, customer, delivery } = await newCustomer('open');
  const buckets = newBuckets();
  expect(await buckets.letsIn(delivery, undefined)).toBe(false);
  expect(await buckets.letsIn(delivery, 'another')).toBe(false);
  expect(await buckets.letsIn(delivery, accountId)).toBe(true);
  const { Version, Statement } = trustPolicy(accountId);
  await customer.setTrust({ Version, Statement: Statement.map(({ Condition: _left, ...open }) => open) });
  expect(await buckets.letsIn(delivery, undefined)).toBe(true);
  expect(await buckets.letsIn(delivery, 'another')).toBe(true);
});

test('what is no refusal is thrown when a role is asked whom it lets in', async () => {
  const { delivery } = await newCustomer('unreachable');
  const buckets = newBuckets();
  await buckets.letsIn(delivery, undefined);
  const fault = proxy.arm({
    matches: ({ action }) => action === 'AssumeRole',
    effect: { kind: 'reset', side: 'answer' },
    times: 9,
  });
  await expect(buckets.letsIn(delivery, undefined)).rejects.toMatchObject({ type: 'Transient' });
  fault.release();
});

test('a vendor role that the worker may not assume is ours to mend', async () => {
  const { delivery } = await newCustomer('vendor');
  const buckets = newBuckets('arn:aws:iam::485801740390:role/another-role');
  await expect(buckets.proveAccess(delivery)).rejects.toMatchObject({ type: 'VendorRoleNotAssumable' });
});

test('a role that may put elsewhere only, and a bucket that is gone, are named', async () => {
  const { bucket, customer, delivery } = await newCustomer('elsewhere-only');
  await customer.setPermissions(permissionPolicy(parseBucketName('another-bucket')));
  const denied = await failureOf(newBuckets().open(delivery).put(small('a'), never));
  expect(denied).toMatchObject({
    type: 'BucketAccessDenied',
    message: expect.stringContaining(`[bucket=${bucket} key=a]`) as string,
  });
  const gone = { ...delivery, settings: { ...delivery.settings, bucket: parseBucketName('another-bucket') } };
  expect(await failureOf(newBuckets().open(gone).put(small('a'), never))).toMatchObject({ type: 'BucketMissing' });
});

test('a session is confined to the path, although the role may put anywhere in the bucket', async () => {
  const { customer, delivery } = await newCustomer('confined', { path: 'exports' });
  const bucket = newBuckets().open(delivery);
  await bucket.put(small('exports/a'), never);
  expect(await failureOf(bucket.put(small('outside'), never))).toMatchObject({ type: 'BucketAccessDenied' });
  expect((await customer.objects()).map(({ Key }) => Key)).toEqual(['exports/a']);
});

test("the proof names the session by account and dump, as the customer's CloudTrail does, and holds nothing secret", async () => {
  const { delivery } = await newCustomer('proof');
  const proof = await newBuckets().proveAccess(delivery);
  expect(proof).toEqual({
    assumedRoleArn: 'arn:aws:sts::111122223333:assumed-role/proof/proof@2023-01-02T15.04',
    awsAccountId: '111122223333',
    expiresAt: expect.any(String) as string,
  });
});

test('STS is asked for what the guide’s trust policy allows: no tags and no source identity, which it does not name', async () => {
  const { accountId, bucket, delivery } = await newCustomer('asked', { path: 'exports' });
  await newBuckets().open(delivery).put(small('exports/a'), never);
  const [vendor, customer] = proxy.recorded
    .filter(({ action }) => action === 'AssumeRole')
    .map(({ body }) => Object.fromEntries(new URLSearchParams(body)));
  const common = { Action: 'AssumeRole', Version: '2011-06-15', DurationSeconds: '3600' };
  expect(vendor).toEqual({ ...common, RoleArn: defaultVendorRoleArn, RoleSessionName: 's3-destination' });
  expect(customer).toEqual({
    ...common,
    RoleArn: delivery.settings.roleArn,
    RoleSessionName: `${accountId}@2023-01-02T15.04`,
    ExternalId: accountId,
    Policy: JSON.stringify(sessionPolicy({ bucket, path: parsePath('exports') })),
  });
});

test('customers share no session, not even of one role, one bucket and one path', async () => {
  const { delivery } = await newCustomer('owner');
  const buckets = newBuckets();
  await buckets.open(delivery).put(small('a'), never);
  const stranger = { ...delivery, accountId: parseAccountId('stranger') };
  expect(await failureOf(buckets.open(stranger).put(small('b'), never))).toMatchObject({ type: 'RoleNotAssumable' });
  const asked = proxy.recorded.filter(({ body }) => body.includes('ExternalId'));
  expect(asked.map(({ body }) => new URLSearchParams(body).get('ExternalId'))).toEqual(['owner', 'stranger']);
});

test('every account, dump, role, bucket and path has sessions of its own', async () => {
  const { accountId, bucket, customer, delivery } = await newCustomer('apart');
  const another = await newCustomer('apart-2');
  // Each role lets both accounts in, and may put into the bucket: what keeps them apart is ours alone.
  const { Version, Statement } = trustPolicy(accountId);
  const trust = { Version, Statement: [...Statement, ...trustPolicy(another.accountId).Statement] };
  await Promise.all([customer.setTrust(trust), another.customer.setTrust(trust)]);
  await another.customer.setPermissions(permissionPolicy(bucket));
  const { settings } = delivery;
  const apart: Delivery[] = [
    delivery,
    { ...delivery, accountId: another.accountId },
    { ...delivery, folder: identityOfDump('dump/apart/2023-01-02T15:05').folder },
    { accountId, settings },
    { ...delivery, settings: { ...settings, roleArn: another.delivery.settings.roleArn } },
    { ...delivery, settings: { ...settings, path: parsePath('exports') } },
    { ...delivery, settings: { ...settings, bucket: parseBucketName('apart-nowhere') } },
  ];
  const buckets = newBuckets();
  for (const each of [...apart, ...apart]) await failureOf(buckets.open(each).put(small('exports/a'), never));
  const policies = proxy.recorded.flatMap(({ body }) => new URLSearchParams(body).get('Policy') ?? []);
  expect(policies).toEqual(apart.map((each) => JSON.stringify(sessionPolicy(each.settings))));
  const sessions = proxy.recorded.flatMap(({ method, headers }) =>
    method === 'PUT' ? [/Credential=([^/]+)/.exec(headers.authorization ?? '')?.[1]] : [],
  );
  expect(new Set(sessions).size).toBe(apart.length);
  expect(sessions.slice(apart.length)).toEqual(sessions.slice(0, apart.length));
});

test('a session is told from a session of another role, or of a role of that name in another account', () => {
  const role = 'arn:aws:iam::485801740390:role/service/dreamdata_destination_s3';
  expect(isSessionOf('arn:aws:sts::485801740390:assumed-role/dreamdata_destination_s3/i-0123', role)).toBe(true);
  expect(isSessionOf('arn:aws:sts::485801740390:assumed-role/another/i-0123', role)).toBe(false);
  expect(isSessionOf('arn:aws:sts::999999999999:assumed-role/dreamdata_destination_s3/i-0123', role)).toBe(false);
  expect(isSessionOf('arn:aws:iam::485801740390:user/dreamdata_destination_s3', role)).toBe(false);
});

test('a worker that runs as the vendor role already skips that hop', async () => {
  const { delivery } = await newCustomer('skips');
  await newBuckets().proveAccess(delivery);
  const [, secret, token, id] = ['', 'SecretAccessKey', 'SessionToken', 'AccessKeyId'].map(
    (name) =>
      new RegExp(`<${name}>([^<]+)<`).exec(
        proxy.recorded.find(({ action }) => action === 'AssumeRole')?.answer ?? '',
      )?.[1],
  );
  const user = { id: process.env['AWS_ACCESS_KEY_ID'], secret: process.env['AWS_SECRET_ACCESS_KEY'] };
  Object.assign(process.env, { AWS_ACCESS_KEY_ID: id, AWS_SECRET_ACCESS_KEY: secret, AWS_SESSION_TOKEN: token });
  try {
    proxy.recorded.length = 0;
    await newBuckets().proveAccess(delivery);
    expect(proxy.recorded.map(({ action }) => action)).toEqual(['GetCallerIdentity', 'AssumeRole']);
  } finally {
    Object.assign(process.env, { AWS_ACCESS_KEY_ID: user.id, AWS_SECRET_ACCESS_KEY: user.secret });
    delete process.env['AWS_SESSION_TOKEN'];
  }
});
