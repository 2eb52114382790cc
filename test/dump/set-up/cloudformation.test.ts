import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { cfnLint, ensureTool, run } from '../../../sandbox/toolchain';
import { kmsPolicy, permissionPolicy, trustPolicy } from '../../../src/dump/policies';
import {
  cloudFormationTemplate,
  launchLink,
  parseRegion,
  parseTemplateUrl,
} from '../../../src/dump/set-up/cloudformation';
import type { CustomerSetUp } from '../../../src/dump/set-up/set-up';
import { filledWith, full, hostileTexts, plain } from './set-ups';

interface Template {
  readonly Resources: Readonly<Record<string, { readonly Properties: Readonly<Record<string, unknown>> }>>;
}

const templateOf = (setUp: CustomerSetUp): Template => JSON.parse(cloudFormationTemplate(setUp)) as Template;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'templates-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

async function lint(template: string): Promise<void> {
  const file = path.join(folder, 'template.json');
  writeFileSync(file, template);
  await run(await ensureTool(cfnLint, () => {}), ['--include-checks', 'I', '--regions', 'eu-west-1', '--', file]);
}

describe('the template passes cfn-lint', () => {
  test.each([
    ['with a bucket', plain],
    ['with a path, a key and days', full],
    ['for a bucket that exists', { ...plain, bucketExists: true }],
  ])('%s', async (_name, setUp) => {
    await expect(lint(cloudFormationTemplate(setUp))).resolves.toBeUndefined();
  });

  test('which refuses a template with a mistake', async () => {
    const mistaken = cloudFormationTemplate(plain).replace('ExpirationInDays', 'ExpiresInDays');
    await expect(lint(mistaken)).rejects.toThrow("'ExpiresInDays'");
  });
});

test("the role's documents are those of the guide", () => {
  const { Role } = templateOf(full).Resources;
  expect(Role?.Properties).toEqual({
    RoleName: 'dreamdata-data-platform',
    AssumeRolePolicyDocument: trustPolicy(full.accountId),
    Policies: [
      { PolicyName: 'DreamdataDataPlatform', PolicyDocument: permissionPolicy(full.bucket) },
      { PolicyName: 'KMSEncryption', PolicyDocument: kmsPolicy(full.kmsKeyArn ?? '') },
    ],
  });
});

test('the bucket is private and encrypted with its key, and expires dumps', () => {
  expect(templateOf(full).Resources['Bucket']).toMatchObject({
    DeletionPolicy: 'Retain',
    Properties: {
      BucketName: 'acme-dreamdata',
      BucketEncryption: {
        ServerSideEncryptionConfiguration: [
          { ServerSideEncryptionByDefault: { SSEAlgorithm: 'aws:kms', KMSMasterKeyID: full.kmsKeyArn } },
        ],
      },
      PublicAccessBlockConfiguration: { BlockPublicPolicy: true, RestrictPublicBuckets: true },
      LifecycleConfiguration: {
        Rules: [
          { Prefix: "exports/o'clock & co/20", ExpirationInDays: 30 },
          { Prefix: "exports/o'clock & co/20", AbortIncompleteMultipartUpload: { DaysAfterInitiation: 1 } },
        ],
      },
    },
  });
});

test('a bucket that exists is not made', () => {
  expect(Object.keys(templateOf({ ...plain, bucketExists: true }).Resources)).toEqual(['Role']);
});

const shapeOf = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value), (_key, inner: unknown) => (typeof inner === 'string' ? 'text' : inner));

test.each(hostileTexts)('the value %j stays text', (text) => {
  const hostile = templateOf(filledWith(text));
  expect(shapeOf(hostile)).toEqual(shapeOf(templateOf(filledWith('harmless'))));
  expect(hostile.Resources['Bucket']?.Properties['BucketName']).toBe(text);
  expect(hostile.Resources['Role']?.Properties['AssumeRolePolicyDocument']).toEqual(
    trustPolicy(text as CustomerSetUp['accountId'], text),
  );
});

test('what CloudFormation would look up is refused', () => {
  expect(() => cloudFormationTemplate(filledWith('a{{resolve:ssm:secret}}'))).toThrow('would look up');
});

test('the launch link carries the URL of the template, encoded', () => {
  const templateUrl = parseTemplateUrl('https://t.s3.eu-west-1.amazonaws.com/a%20b.json?x=1&stackName=evil#y');
  expect(launchLink({ templateUrl, region: parseRegion('eu-west-1') })).toBe(
    'https://console.aws.amazon.com/cloudformation/home?region=eu-west-1#/stacks/create/review?templateURL=' +
      'https%3A%2F%2Ft.s3.eu-west-1.amazonaws.com%2Fa%2520b.json%3Fx%3D1%26stackName%3Devil%23y&stackName=dreamdata-data-platform',
  );
});

test.each([
  'http://t.s3.amazonaws.com/x',
  'https://example.com/x',
  'https://s3.amazonaws.com.evil.test/x',
  'https://evils3.amazonaws.com/x',
  'https://u:p@t.s3.amazonaws.com/x',
  'nothing',
])('%s is no URL of a template', (url) => {
  expect(() => parseTemplateUrl(url)).toThrow('is not an https URL of S3');
});

test.each(['https://s3.amazonaws.com/b/x', 'https://b.s3-eu-west-1.amazonaws.com/x', 'https://b.c.s3.amazonaws.com/x'])(
  '%s is a URL of a template',
  (url) => {
    expect(parseTemplateUrl(url)).toBe(url);
  },
);

test('a region that is none is refused', () => {
  expect(() => parseRegion('eu-west-1#x')).toThrow('looks like eu-west-1');
});
