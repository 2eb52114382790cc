/** Unwrapping payload keys, by the real client against the AWS stand-in. */
import { randomBytes } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { allowWorker, KmsKeys, setUpVendor, startAws, vendor } from '../../sandbox/aws';
import { freePort } from '../../sandbox/ports';
import type { Running } from '../../sandbox/processes';
import { isWrapped, parseKeyFile, PayloadKeyUnavailable, type WrappedKey } from '../../src/codec/keys';
import { unwrapPolicy, type PolicyDocument } from '../../src/dump/policies';
import { KmsKeyService } from '../../src/stores/key-service';

const region = 'eu-west-1';
const environmentBefore = { ...process.env };
let aws: Running;
let endpoint: string;
let kms: KmsKeys;
let kmsKeyArn: string;

beforeAll(async () => {
  const port = await freePort();
  endpoint = `http://127.0.0.1:${port}`;
  aws = await startAws(port, () => {});
  kms = new KmsKeys(vendor.account, endpoint, region);
  kmsKeyArn = await kms.create();
  const keys = await setUpVendor(endpoint);
  process.env['AWS_ACCESS_KEY_ID'] = keys.accessKeyId;
  process.env['AWS_SECRET_ACCESS_KEY'] = keys.secretAccessKey;
  process.env['AWS_ENDPOINT_URL'] = endpoint;
  // The key's own region is what counts.
  process.env['AWS_REGION'] = 'us-east-1';
  delete process.env['AWS_SESSION_TOKEN'];
});

afterAll(async () => {
  process.env = environmentBefore;
  await aws.stop();
});

beforeEach(() => allowWorker(endpoint, unwrapPolicy(kmsKeyArn)));

function onLine(line: string): WrappedKey {
  const [key] = parseKeyFile(`2026-11 ${line}`);
  if (!isWrapped(key)) throw new Error('It is not wrapped');
  return key;
}

const unwrap = (key: WrappedKey): Promise<Buffer> => new KmsKeyService().unwrap(key);

async function refusal(key: WrappedKey): Promise<string> {
  const error: unknown = await unwrap(key).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(PayloadKeyUnavailable);
  return (error as Error).message;
}

test('a key that KMS made and nobody saw is had by whoever may decrypt it, again and again', async () => {
  const key = onLine(await kms.wrapNew(kmsKeyArn));
  const bytes = await unwrap(key);
  expect(bytes).toHaveLength(32);
  expect(await unwrap(key)).toEqual(bytes);
  expect(await unwrap(onLine(await kms.wrapNew(kmsKeyArn)))).not.toEqual(bytes);
});

test('a key that was there before can be wrapped', async () => {
  const before = randomBytes(32);
  expect(await unwrap(onLine(await kms.wrap(kmsKeyArn, before)))).toEqual(before);
});

test('an identity that may not decrypt is told the policy to have, and with just that policy it may', async () => {
  const key = onLine(await kms.wrapNew(kmsKeyArn));
  await allowWorker(endpoint, unwrapPolicy(await kms.create()));
  const said = await refusal(key);
  expect(said).toContain(`KMS refuses to unwrap the payload key [payloadKey=2026-11 kmsKey=${kmsKeyArn}]`);
  expect(said).toContain('is not authorized to perform: kms:Decrypt');
  const [, policy = ''] = /the policy (\{.*\}), and/.exec(said) ?? [];
  await allowWorker(endpoint, JSON.parse(policy) as PolicyDocument);
  expect(await unwrap(key)).toHaveLength(32);
});

test("the key's own policy may refuse, too", async () => {
  const closed = await kms.create();
  const key = onLine(await kms.wrapNew(closed));
  await allowWorker(endpoint, unwrapPolicy(closed));
  expect(await unwrap(key)).toHaveLength(32);
  const Principal = { AWS: `arn:aws:iam::${vendor.account}:user/admin` };
  const Statement = [{ Effect: 'Allow', Principal, Action: 'kms:*', Resource: '*' }];
  await kms.setPolicy(closed, { Version: '2012-10-17', Statement });
  expect(await refusal(key)).toContain("and let the key's own policy not stand against it.");
});

test('a key that is disabled, or waits for its deletion, is to be enabled', async () => {
  const doomed = await kms.create();
  const key = onLine(await kms.wrapNew(doomed));
  await allowWorker(endpoint, unwrapPolicy(doomed));
  await kms.disable(doomed);
  expect(await refusal(key)).toContain(
    `The KMS key of the payload key cannot be used [payloadKey=2026-11 kmsKey=${doomed}]: DisabledException: ${doomed} is disabled.`,
  );
  await kms.scheduleDeletion(doomed);
  expect(await refusal(key)).toContain('For us to mend: enable it, or cancel its deletion.');
});

test('a key of another context or a changed line is not taken', async () => {
  const said = `KMS cannot unwrap the payload key [payloadKey=2026-11 kmsKey=${kmsKeyArn}]: InvalidCiphertextException`;
  const another = onLine(await kms.wrapNew(kmsKeyArn, { purpose: 'something-else' }));
  expect(await refusal(another)).toContain(said);
  const key = onLine(await kms.wrapNew(kmsKeyArn));
  const changed = Buffer.from(key.wrapped);
  changed[changed.length - 40] = (changed[changed.length - 40] ?? 0) ^ 1;
  expect(await refusal({ ...key, wrapped: changed })).toContain(said);
  expect(await refusal({ ...key, wrapped: changed })).not.toContain(changed.toString('base64').slice(0, 20));
});

test('a line that names another KMS key than has wrapped it is not taken, even if we may use that one', async () => {
  const other = await kms.create();
  const key = { ...onLine(await kms.wrapNew(kmsKeyArn)), kmsKeyArn: onLine(await kms.wrapNew(other)).kmsKeyArn };
  await allowWorker(endpoint, unwrapPolicy(other));
  expect(await refusal(key)).toContain('IncorrectKeyException');
});

test('a KMS key that there is not is named', async () => {
  const key = onLine((await kms.wrapNew(kmsKeyArn)).replace(/key\/\S+/, 'key/1234abcd-12ab-34cd-56ef-1234567890ab'));
  await allowWorker(endpoint, unwrapPolicy(key.kmsKeyArn));
  expect(await refusal(key)).toContain('There is no such KMS key');
});

test('credentials that AWS does not know, and none at all, are told from a refusal', async () => {
  const key = onLine(await kms.wrapNew(kmsKeyArn));
  const { AWS_SECRET_ACCESS_KEY, AWS_ACCESS_KEY_ID } = process.env;
  const said = 'KMS cannot be asked for the payload key without valid AWS credentials';
  try {
    process.env['AWS_SECRET_ACCESS_KEY'] = 'wrong';
    expect(await refusal(key)).toContain(said);
    process.env['AWS_ACCESS_KEY_ID'] = 'AKIAIOSFODNN7EXAMPLE';
    const unknown = await refusal(key);
    expect(unknown).toContain(said);
    expect(unknown).not.toContain('AKIAIOSFODNN7EXAMPLE');
    delete process.env['AWS_ACCESS_KEY_ID'];
    delete process.env['AWS_SECRET_ACCESS_KEY'];
    process.env['AWS_EC2_METADATA_DISABLED'] = 'true';
    process.env['AWS_CONFIG_FILE'] = process.env['AWS_SHARED_CREDENTIALS_FILE'] = '/nowhere';
    expect(await refusal(key)).toContain(`${said} [payloadKey=2026-11 kmsKey=${kmsKeyArn}]: CredentialsProviderError`);
  } finally {
    Object.assign(process.env, { AWS_SECRET_ACCESS_KEY, AWS_ACCESS_KEY_ID });
  }
});

describe('where KMS does not answer', () => {
  const servers: Server[] = [];
  afterEach(() => {
    process.env['AWS_ENDPOINT_URL'] = endpoint;
    for (const server of servers) server.close();
  });

  test.each([
    ['nobody is there', undefined, 'ECONNREFUSED'],
    ['it has a fault of its own', 500, 'KMSInternalException'],
    ['it is asked too often', 400, 'ThrottlingException'],
  ])('as %s, that is what is said', async (_what, status, name) => {
    const key = onLine(await kms.wrapNew(kmsKeyArn));
    const server = createServer((_request, response) => {
      response.writeHead(status ?? 500, { 'content-type': 'application/x-amz-json-1.1' });
      response.end(JSON.stringify({ __type: name, message: 'Not now' }));
    });
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    process.env['AWS_ENDPOINT_URL'] = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    if (status === undefined) await new Promise((resolve) => server.close(resolve));
    const said = await refusal(key);
    expect(said).toContain('KMS did not unwrap the payload key');
    expect(said).toContain(name);
    expect(said).toContain('see to it that this machine reaches KMS in the region of the key');
  });
});
