/** What `policies` prints is all that a customer sets up: applied as printed, a dump runs to its end. */
import { spawnSync } from 'node:child_process';
import { CreateRoleCommand, IAMClient, PutRolePolicyCommand } from '@aws-sdk/client-iam';
import {
  CreateBucketCommand,
  GetBucketLifecycleConfigurationCommand,
  PutBucketLifecycleConfigurationCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { CustomerAccount, customerAccount } from '../../sandbox/aws';
import { parseAccountId, parseBucketName } from '../../src/dump/inputs';
import type { PolicyDocument } from '../../src/dump/policies';
import type { LifecycleConfiguration } from '../../src/dump/set-up/lifecycle';
import { compareRows, readJson, type GuideReceipt } from './delivered';
import { dataset, EndToEnd } from './environment';

interface Printed {
  readonly trustPolicy: PolicyDocument;
  readonly permissionPolicy: PolicyDocument;
  readonly lifecycle: LifecycleConfiguration;
}

const accountId = parseAccountId('acc_ready');
const bucket = parseBucketName('ready-made');
const roleName = 'ready-made-role';
const path = 'exports/dreamdata';
const table = 'contacts';

let endToEnd: EndToEnd;
beforeAll(async () => {
  endToEnd = await EndToEnd.start({ scale: 0.01, shardRows: 50 });
  await endToEnd.startWorker();
});
afterAll(() => endToEnd?.stop());

function printed(): Printed {
  const args = ['lib/src/client.js', 'policies', accountId, '--bucket', bucket, '--path', path];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as Printed;
}

test('with the printed documents applied a dump is delivered, and its lifecycle is kept', async () => {
  const { trustPolicy, permissionPolicy, lifecycle } = printed();
  const endpoint = endToEnd.sandbox.environment['AWS_ENDPOINT_URL'] ?? '';
  const owner = {
    endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: { accessKeyId: customerAccount, secretAccessKey: 'test' },
  };
  const s3 = new S3Client(owner);
  const iam = new IAMClient(owner);
  await s3.send(new CreateBucketCommand({ Bucket: bucket }));
  const rules = { Rules: lifecycle.Rules.map((rule) => ({ ...rule })) };
  await s3.send(new PutBucketLifecycleConfigurationCommand({ Bucket: bucket, LifecycleConfiguration: rules }));
  await iam.send(new CreateRoleCommand({ RoleName: roleName, AssumeRolePolicyDocument: JSON.stringify(trustPolicy) }));
  const PolicyDocument = JSON.stringify(permissionPolicy);
  await iam.send(new PutRolePolicyCommand({ RoleName: roleName, PolicyName: 'printed', PolicyDocument }));

  const customer = new CustomerAccount({ endpoint, accountId, bucket, roleName, region: 'us-east-1' });
  await endToEnd.destinations.connect(accountId, { roleArn: customer.roleArn, bucket, path, tables: [table] });
  await endToEnd.destinations.modellingRunSucceeded(accountId, { runId: 'run-1', finishedAt: new Date(), dataset });
  expect(await endToEnd.ended(accountId, 'run-1')).toMatchObject({ outcome: 'delivered' });

  const [checkKey, receiptKey] = [`${path}/connection-check.json`, `${path}/receipt.json`];
  const promised = (await readJson<GuideReceipt>(customer, receiptKey)).tables[table];
  if (promised === undefined) throw new Error(`The receipt does not name ${table}`);
  expect(await compareRows(customer, promised, endToEnd.parquetFile(table))).toMatchObject({
    missing: 0,
    unexpected: 0,
  });

  const { Rules = [] } = await s3.send(new GetBucketLifecycleConfigurationCommand({ Bucket: bucket }));
  expect(Rules).toEqual(lifecycle.Rules);
  const keys = (await customer.objects()).map(({ Key }) => Key);
  for (const { Filter } of Rules) {
    expect(keys.filter((key) => !key.startsWith(Filter?.Prefix ?? ''))).toEqual([checkKey, receiptKey]);
  }
});
