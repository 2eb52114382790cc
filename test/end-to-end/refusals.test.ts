/** What whoever connects a customer reads where AWS refuses: the hop, what AWS said, whose it is, what to change. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { CustomerAccount } from '../../sandbox/aws';
import { letVendorRoleAssume } from '../../sandbox/aws';
import { compiled } from '../../sandbox/processes';
import { Sandbox } from '../../sandbox/sandbox';
import type { AccountId, BucketName } from '../../src/contract';
import { parseAccountId, parseBucketName, parseRoleArn } from '../../src/dump/inputs';
import {
  assumePolicy,
  exemption,
  kmsPolicy,
  permissionPolicy,
  trustPolicy,
  type PolicyDocument,
} from '../../src/dump/policies';

let sandbox: Sandbox;
beforeAll(async () => {
  sandbox = await Sandbox.start({ ports: 'free', say: () => {} });
  await sandbox.startWorker();
});
afterAll(() => sandbox?.stop());

const execute = promisify(execFile);

/** Connects as an operator does, and returns what is printed. */
const connect = (account: string, roleArn: string, bucket: string, ...more: string[]): Promise<string> =>
  execute(
    process.execPath,
    [compiled('src', 'client.js'), 'connect', account, '--role-arn', roleArn, '--bucket', bucket, ...more],
    { env: { PATH: process.env['PATH'], ...sandbox.environment } },
  ).then(
    ({ stdout }) => stdout,
    ({ stderr }: { stderr: string }) => stderr,
  );

interface Given {
  readonly accountId: AccountId;
  readonly bucket: BucketName;
  readonly customer: CustomerAccount;
}

const allowing = (bucket: BucketName, ...statements: PolicyDocument['Statement']): PolicyDocument => ({
  Version: '2012-10-17',
  Statement: [...permissionPolicy(bucket).Statement, ...statements],
});

/** All are connected at once, as each refusal is believed after half a minute only. */
const mistakes: Record<string, (given: Given) => Promise<{ more?: string[]; printed: string[] }>> = {
  'a role that trusts another account id': async ({ accountId, customer }) => {
    await customer.setTrust(trustPolicy(parseAccountId('somebody-else')));
    return {
      printed: [
        `The vendor role may not assume the customer role [role=${customer.roleArn} externalId=${accountId}]: User: arn:aws:sts::`,
        'is not authorized to perform: sts:AssumeRole',
        `For the customer to mend: the role must exist and its trust policy must be ${JSON.stringify(trustPolicy(accountId))}`,
      ],
    };
  },
  'a bucket policy that demands a header of encryption': async ({ bucket, customer }) => {
    const Condition = { Null: { 's3:x-amz-server-side-encryption': 'true' } };
    const what = { Effect: 'Deny', Principal: '*', Action: 's3:PutObject', Resource: `arn:aws:s3:::${bucket}/*` };
    await customer.setBucketPolicy({ Version: '2012-10-17', Statement: [{ ...what, Condition }] });
    return {
      printed: [
        `S3 refused a put [bucket=${bucket} key=connection-check.json]: AccessDenied: User: arn:aws:sts::`,
        'with an explicit deny in a resource-based policy.',
        "For the customer to mend: the bucket's policy denies it",
        JSON.stringify(exemption(parseRoleArn(customer.roleArn))),
        'where the statement demands aws:kms, connect again with --kms-key-arn',
      ],
    };
  },
  'a key that the role may not use': async ({ bucket, customer }) => {
    const keyArn = await customer.keys.create();
    return {
      more: ['--kms-key-arn', keyArn],
      printed: [
        `KMS refused S3 the key for a put [bucket=${bucket} key=connection-check.json]: AccessDenied: User: `,
        `For the customer to mend: the role ${customer.roleArn} needs the policy ${JSON.stringify(kmsPolicy(keyArn))}.`,
      ],
    };
  },
  'a key that is disabled': async ({ bucket, customer }) => {
    const keyArn = await customer.keys.create();
    await customer.setPermissions(allowing(bucket, ...kmsPolicy(keyArn).Statement));
    await customer.encryptWith(keyArn);
    await customer.keys.disable(keyArn);
    return {
      printed: [
        `KMS refused S3 the key for a put [bucket=${bucket} key=connection-check.json]: KMS.DisabledException: ${keyArn} is disabled.`,
        `For the customer to mend: enable the key: aws kms enable-key --key-id ${keyArn}`,
      ],
    };
  },
  'a bucket of another account than was said': async ({ bucket }) => ({
    more: ['--bucket-owner', '444455556666'],
    printed: [
      `S3 refused a put [bucket=${bucket} key=connection-check.json]: AccessDenied: Access Denied.`,
      'For the customer to mend: S3 gives no reason, as for a bucket of another account: the bucket must belong to account 444455556666',
    ],
  }),
};

test('connect prints of each mistake of a customer which hop failed, what AWS said, and what exactly to change', async () => {
  const tries = Object.entries(mistakes).map(async ([mistake, make], index) => {
    const accountId = parseAccountId(`mistaken-${index}`);
    const bucket = parseBucketName(`mistaken-${index}-data`);
    const customer = await sandbox.addCustomer(accountId, bucket, { roleName: `mistaken-${index}` });
    const { more = [], printed } = await make({ accountId, bucket, customer });
    return { mistake, printed, said: await connect(accountId, customer.roleArn, bucket, ...more) };
  });
  for (const { mistake, printed, said } of await Promise.all(tries)) {
    const [soFar = '', ...more] = said.trimEnd().split('\n').toReversed();
    // It is one sentence after those that say that it is tried again.
    expect({ mistake, more }).toEqual({
      mistake,
      more: more.map(() => expect.stringMatching(/^Refused so far/) as string),
    });
    expect(more.length).toBeGreaterThan(0);
    let rest = soFar;
    for (const part of printed) {
      expect({ mistake, rest }).toEqual({ mistake, rest: expect.stringContaining(part) as string });
      rest = rest.slice(rest.indexOf(part) + part.length);
    }
  }
});

test('connect prints at once that it is ours to mend where the vendor role may not assume the customer role', async () => {
  const accountId = parseAccountId('well-behaved');
  const bucket = parseBucketName('well-behaved-data');
  const customer = await sandbox.addCustomer(accountId, bucket, { roleName: 'well-behaved' });
  const endpoint = sandbox.environment['AWS_ENDPOINT_URL'] ?? '';
  await letVendorRoleAssume(endpoint, `${customer.roleArn}-2`);
  const said = await connect(accountId, customer.roleArn, bucket);
  expect(said).toMatch(/^The vendor role may not assume the customer role \[.*because no identity-based policy allows/);
  expect(said).toContain(
    `For us to mend: give the vendor role the policy ${JSON.stringify(assumePolicy(customer.roleArn))}`,
  );
  await letVendorRoleAssume(endpoint, '*');
  expect(await connect(accountId, customer.roleArn, bucket)).toMatch(/^Connected: /);
});
