/** What the sandbox adds to the AWS stand-in, by the real clients. */
import { DecryptCommand, KMSClient, type DecryptCommandInput } from '@aws-sdk/client-kms';
import { AssumeRoleCommand, STSClient } from '@aws-sdk/client-sts';
import { allowWorker, KmsKeys, setUpVendor, startAws, vendorAccount, type WorkerKeys } from '../../sandbox/aws';
import { freePort, type Running } from '../../sandbox/processes';
import { defaultVendorRoleArn, unwrapPolicy, wrappingContext } from '../../src/dump/policies';

const region = 'us-east-1';
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

test('a role assumed from a role lives one hour at most', async () => {
  const assume = (credentials: { accessKeyId: string; secretAccessKey: string }, DurationSeconds: number) =>
    new STSClient({ region, endpoint, credentials }).send(
      new AssumeRoleCommand({ RoleArn: defaultVendorRoleArn, RoleSessionName: 'test', DurationSeconds }),
    );
  const { Credentials } = await assume(worker, 7200);
  const session = {
    accessKeyId: Credentials?.AccessKeyId ?? '',
    secretAccessKey: Credentials?.SecretAccessKey ?? '',
    sessionToken: Credentials?.SessionToken ?? '',
  };
  await expect(assume(session, 3601)).rejects.toMatchObject({
    name: 'ValidationError',
    message: 'The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining',
  });
});

test('KMS decrypts what it wrapped whole, by the key that is named, in the context that the policy asks for', async () => {
  const keys = new KmsKeys(vendorAccount, endpoint, region);
  const [KeyId, otherKey] = [await keys.create(), await keys.create()];
  const CiphertextBlob = Buffer.from((await keys.wrapNew(KeyId)).split(' ')[1] ?? '', 'base64');
  const root = { accessKeyId: vendorAccount, secretAccessKey: 'test' };
  const decrypt = async (changes: Partial<DecryptCommandInput>, credentials: WorkerKeys = root): Promise<string> => {
    const input = { KeyId, CiphertextBlob, EncryptionContext: wrappingContext, ...changes };
    const asked = new KMSClient({ region, endpoint, credentials }).send(new DecryptCommand(input));
    return asked.then(
      () => 'decrypted',
      ({ name }: Error) => name,
    );
  };
  const EncryptionContext = { purpose: 'something-else' };
  const missingKey = KeyId.replace(/key.*/, 'key/1234abcd-12ab-34cd-56ef-1234567890ab');

  expect(await decrypt({})).toBe('decrypted');
  expect(await decrypt({ EncryptionContext })).toBe('InvalidCiphertextException');
  for (const at of [90, CiphertextBlob.length - 1]) {
    const changed = CiphertextBlob.with(at, (CiphertextBlob[at] ?? 0) ^ 1);
    expect(await decrypt({ CiphertextBlob: changed })).toBe('InvalidCiphertextException');
  }
  expect(await decrypt({ KeyId: otherKey })).toBe('IncorrectKeyException');
  expect(await decrypt({ KeyId: missingKey })).toBe('NotFoundException');

  expect(await decrypt({}, worker)).toBe('AccessDeniedException');
  await allowWorker(endpoint, unwrapPolicy(KeyId));
  expect(await decrypt({}, worker)).toBe('decrypted');
  expect(await decrypt({ EncryptionContext }, worker)).toBe('AccessDeniedException');
});
