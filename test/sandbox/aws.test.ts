/** What the sandbox adds to the AWS stand-in, by the real clients. */
import { AssumeRoleCommand, STSClient } from '@aws-sdk/client-sts';
import { setUpVendor, startAws } from '../../sandbox/aws';
import { freePort, type Running } from '../../sandbox/processes';
import { defaultVendorRoleArn } from '../../src/dump/policies';

let aws: Running;
let endpoint: string;

beforeAll(async () => {
  const port = await freePort();
  endpoint = `http://127.0.0.1:${port}`;
  aws = await startAws(port, () => {});
});

afterAll(() => aws.stop());

test('a role assumed from a role lives one hour at most', async () => {
  const assume = (credentials: { accessKeyId: string; secretAccessKey: string }, DurationSeconds: number) =>
    new STSClient({ region: 'us-east-1', endpoint, credentials }).send(
      new AssumeRoleCommand({ RoleArn: defaultVendorRoleArn, RoleSessionName: 'test', DurationSeconds }),
    );
  const { Credentials } = await assume(await setUpVendor(endpoint), 7200);
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
