/** Each right on AWS is taken away, as docs/authorisation.md lists them, and what `connect` proves is tried. */
import {
  CreateRoleCommand,
  IAMClient,
  PutRolePolicyCommand,
  PutUserPolicyCommand,
  UpdateAssumeRolePolicyCommand,
} from '@aws-sdk/client-iam';
import { CustomerAccount, KmsKeys, setUpVendor, startAws, vendor } from '../../sandbox/aws';
import { freePort } from '../../sandbox/ports';
import type { Running } from '../../sandbox/processes';
import { createCheckAccess } from '../../src/activities/check-access';
import { parseKeyFile } from '../../src/codec/keys';
import { KeyOpener } from '../../src/codec/open-keys';
import { isFailureType } from '../../src/contract';
import { parseAccountId, parseBucketName, parseDestination } from '../../src/dump/inputs';
import {
  defaultVendorRoleArn,
  kmsPolicy,
  permissionPolicy,
  trustPolicy,
  type PolicyDocument,
} from '../../src/dump/policies';
import { S3CustomerBuckets } from '../../src/stores/customer-bucket';
import { KmsKeyService } from '../../src/stores/key-service';
import { dumpEnvironment } from '../fakes';
import { codeIn, policiesUnder, quotedIn, tableUnder } from './document';

const named = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN', 'AWS_ENDPOINT_URL'] as const;
const before = Object.fromEntries(named.map((name) => [name, process.env[name]]));

const [workerPolicy, vendorTrust, vendorPolicy] = policiesUnder('AWS') as [
  PolicyDocument,
  PolicyDocument,
  PolicyDocument,
];

let aws: Running;
let endpoint: string;
let iam: IAMClient;

beforeAll(async () => {
  const port = await freePort();
  endpoint = `http://127.0.0.1:${port}`;
  aws = await startAws(port, () => {});
  const keys = await setUpVendor(endpoint);
  iam = new IAMClient({
    endpoint,
    region: 'us-east-1',
    credentials: { accessKeyId: vendor.account, secretAccessKey: 'test' },
  });
  process.env['AWS_ACCESS_KEY_ID'] = keys.accessKeyId;
  process.env['AWS_SECRET_ACCESS_KEY'] = keys.secretAccessKey;
  process.env['AWS_ENDPOINT_URL'] = endpoint;
  delete process.env['AWS_SESSION_TOKEN'];
});

/** What the document says, and nothing else. */
beforeEach(async () => {
  await setWorkerPolicy(workerPolicy);
  await setVendorTrust(vendorTrust);
  await setVendorPolicy(vendorPolicy);
});

afterAll(async () => {
  for (const [name, value] of Object.entries(before)) {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
  await aws.stop();
});

const setWorkerPolicy = (policy: PolicyDocument) =>
  iam.send(
    new PutUserPolicyCommand({
      UserName: vendor.workerUserName,
      PolicyName: vendor.workerPolicyName,
      PolicyDocument: JSON.stringify(policy),
    }),
  );

/** Where the document has a role, the stand-in's worker is a user. */
const setVendorTrust = (policy: PolicyDocument) =>
  iam.send(
    new UpdateAssumeRolePolicyCommand({
      RoleName: vendor.roleName,
      PolicyDocument: JSON.stringify(policy).replace(':role/s3-destination-worker', `:user/${vendor.workerUserName}`),
    }),
  );

const setVendorPolicy = (policy: PolicyDocument) =>
  iam.send(
    new PutRolePolicyCommand({
      RoleName: vendor.roleName,
      PolicyName: vendor.rolePolicyName,
      PolicyDocument: JSON.stringify(policy),
    }),
  );

const policyOf = (...Statement: PolicyDocument['Statement'][number][]): PolicyDocument => ({
  Version: '2012-10-17',
  Statement,
});
const denyOnly = (action: string): PolicyDocument => policyOf({ Effect: 'Deny', Action: action, Resource: '*' });

let customers = 0;

/** A customer with an encrypted bucket, who has followed the guide. */
async function newCustomer(roleName?: string) {
  const name = `customer-${++customers}`;
  const accountId = parseAccountId(name);
  const bucket = parseBucketName(`${name}-bucket`);
  const account = new CustomerAccount({ endpoint, accountId, bucket, roleName: roleName ?? name, region: 'us-east-1' });
  await account.followGuide();
  const keyArn = await account.keys.create();
  await account.encryptWith(keyArn);
  const permissions = policyOf(...permissionPolicy(bucket).Statement, ...kmsPolicy(keyArn).Statement);
  await account.setPermissions(permissions);
  return { accountId, bucket, account, permissions };
}

type Customer = Awaited<ReturnType<typeof newCustomer>>;

type Proven = Pick<Customer, 'accountId' | 'bucket'> & { readonly account: Pick<CustomerAccount, 'roleArn'> };

/** What `connect` proves, by its own code. Returns the failure's type. */
async function proven({ accountId, bucket, account }: Proven): Promise<string> {
  const options = { vendorRoleArn: defaultVendorRoleArn, region: 'us-east-1', forcePathStyle: true };
  const checkAccess = createCheckAccess({ customerBuckets: new S3CustomerBuckets(options) });
  const workflowExecution = { workflowId: `destination/${accountId}`, runId: 'test' };
  const settings = parseDestination({ roleArn: account.roleArn, bucket });
  return dumpEnvironment({ workflowExecution })
    .run(checkAccess, { settings })
    .then(
      () => 'nothing',
      (error: unknown) => (error as { type?: string }).type ?? String(error),
    );
}

/** The customer role's policy without an action. */
const without = (action: string, { Statement }: PolicyDocument): PolicyDocument =>
  policyOf(
    ...Statement.map((statement) => ({
      ...statement,
      Action: [statement.Action].flat().filter((name) => name !== action),
    })),
  );

const takenFromRole =
  (action: string) =>
  ({ account, permissions }: Customer): Promise<unknown> =>
    account.setPermissions(without(action, permissions));

/** How each right is taken away, by what the document calls it. */
const removals: Readonly<Record<string, (customer: Customer) => Promise<unknown>>> = {
  '`sts:AssumeRole` on the vendor role': () => setWorkerPolicy(denyOnly('s3:*')),
  "the vendor role's trust in the worker identity": () =>
    setVendorTrust(policyOf({ Effect: 'Allow', Principal: { AWS: vendor.account }, Action: 'sts:TagSession' })),
  "`sts:AssumeRole` on customers' roles": () => setVendorPolicy(denyOnly('s3:*')),
  "the customer role's trust in the vendor role": ({ account, accountId }) =>
    account.setTrust(trustPolicy(accountId, 'arn:aws:iam::999988887777:role/another')),
  'the condition that `sts:ExternalId` is the account id': ({ account, accountId }) =>
    account.setTrust(policyOf(...trustPolicy(accountId).Statement.map(({ Condition: _left, ...open }) => open))),
  "`s3:PutObject` on the bucket's objects": takenFromRole('s3:PutObject'),
  "`s3:PutObjectAcl` on the bucket's objects": takenFromRole('s3:PutObjectAcl'),
  "`kms:GenerateDataKey` on the bucket's key, if it has one": takenFromRole('kms:GenerateDataKey'),
  "`kms:Decrypt` on the bucket's key": takenFromRole('kms:Decrypt'),
  'the bucket itself, beside its objects, as resource': ({ account, bucket, permissions }) =>
    account.setPermissions(
      policyOf(
        ...permissions.Statement.map((statement) => ({
          ...statement,
          Resource: [statement.Resource ?? []].flat().filter((resource) => resource !== `arn:aws:s3:::${bucket}`),
        })),
      ),
    ),
  '`sts:GetCallerIdentity`': () =>
    setWorkerPolicy(policyOf(...workerPolicy.Statement, ...denyOnly('sts:GetCallerIdentity').Statement)),
};

test('what the document grants is enough', async () => {
  expect(await proven(await newCustomer())).toBe('nothing');
});

const rows = tableUnder('AWS, without it');

test('each right of the document can be taken away here, and no other', () => {
  expect(Object.keys(removals).toSorted()).toEqual(rows.map(({ right = '' }) => right).toSorted());
});

test.each(rows.map((row) => [row['right'] ?? '', row['without it'] ?? '']))(
  'without %s: %s',
  async (right, outcome) => {
    const customer = await newCustomer();
    await removals[right]?.(customer);
    const [expected = 'nothing'] = codeIn(outcome).filter(isFailureType);
    expect(await proven(customer)).toBe(expected);
  },
);

test('a role of our own account is not assumed, whatever it trusts and whoever gives it as a role', async () => {
  const customer = await newCustomer();
  const RoleName = 'internal';
  const trust = trustPolicy(customer.accountId);
  await iam.send(new CreateRoleCommand({ RoleName, AssumeRolePolicyDocument: JSON.stringify(trust) }));
  const roleArn = `arn:aws:iam::${vendor.account}:role/${RoleName}`;
  expect(await proven({ ...customer, account: { roleArn } })).toBe('VendorSetUpRefused');
  const [allow] = vendorPolicy.Statement;
  if (allow === undefined) throw new Error('The vendor role has no policy');
  await setVendorPolicy(policyOf(allow));
  expect(await proven({ ...customer, account: { roleArn } })).toBe('BucketAccessDenied');
});

test('a process that may not open its payload keys does not start; with what the document grants it may', async () => {
  const [{ 'without it': outcome } = {}, ...others] = tableUnder('Payload keys');
  expect(others).toEqual([]);
  const keys = new KmsKeys(vendor.account, endpoint, 'eu-west-1');
  const kmsKeyArn = await keys.create();
  const file = parseKeyFile(`2026-11 ${await keys.wrapNew(kmsKeyArn)}`);
  const open = () => new KeyOpener(() => new KmsKeyService()).open(file);
  const [sentence = 'nothing'] = quotedIn(outcome);
  await expect(open()).rejects.toThrow(sentence);
  const [policy] = policiesUnder('Payload keys');
  await setWorkerPolicy(JSON.parse(JSON.stringify(policy).replace(/arn:aws:kms:[^"]+/, kmsKeyArn)) as PolicyDocument);
  expect((await open()).current.id).toBe('2026-11');
});

const narrowings = tableUnder('The vendor role, narrower still');
/** Narrows the policy as the row says that has `part`. Returns the failure that it costs others. */
async function setNarrowed(part: string): Promise<string | undefined> {
  const column = 'in the statement `CustomerRoles`';
  const row = narrowings.find(({ [column]: code = '' }) => code.includes(part));
  const [narrower = ''] = codeIn(row?.[column]);
  const Statement = vendorPolicy.Statement.map((statement) =>
    statement.Sid === 'CustomerRoles' ? { ...statement, ...(JSON.parse(`{${narrower}}`) as object) } : statement,
  );
  await setVendorPolicy(policyOf(...Statement));
  return codeIn(row?.['what it costs']).find(isFailureType);
}

describe('narrower still:', () => {
  test('by the name of the role, others are refused', async () => {
    const refusal = await setNarrowed('"Resource"');
    expect(await proven(await newCustomer('dreamdata-data-platform'))).toBe('nothing');
    expect(await proven(await newCustomer('another-name'))).toBe(refusal);
  });

  test('by the account, others are refused', async () => {
    const customer = await newCustomer();
    const refusal = await setNarrowed('aws:ResourceAccount');
    expect(await proven(customer)).toBe('nothing');
    const listed = vendorPolicy.Statement.map((statement) =>
      statement.Sid === 'CustomerRoles'
        ? { ...statement, Condition: { StringEquals: { 'aws:ResourceAccount': '999988887777' } } }
        : statement,
    );
    await setVendorPolicy(policyOf(...listed));
    expect(await proven(customer)).toBe(refusal);
  });

  test('no other way is named', () => {
    expect(narrowings).toHaveLength(2);
  });
});
