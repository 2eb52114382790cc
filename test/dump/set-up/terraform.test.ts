import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { ensureTool, hcldec } from '../../../sandbox/toolchain';
import { kmsPolicy, permissionPolicy, trustPolicy } from '../../../src/dump/policies';
import type { CustomerSetUp } from '../../../src/dump/set-up/set-up';
import { hclValue, terraformModule } from '../../../src/dump/set-up/terraform';
import { filledWith, full, hostileTexts, plain } from './set-ups';

type Resource = Readonly<Record<string, unknown>>;

interface Module {
  readonly resource: Readonly<Record<string, Readonly<Record<string, Resource>>>>;
  readonly output: Readonly<Record<string, { readonly value: string }>>;
}

/** Stand for what Terraform would know of the resources that are referred to. */
const known = {
  aws_iam_role: { dreamdata: { id: 'the role', arn: 'the ARN' } },
  aws_s3_bucket: { dumps: { id: 'the bucket' } },
};

let program: string;
beforeAll(async () => {
  program = await ensureTool(hcldec, () => {});
});

/** Read by HashiCorp's parser, with expressions evaluated and without the arguments that are not given. */
function read(text: string): Module {
  const spec = path.join(__dirname, 'terraform-module.hcldec');
  const args = [`--spec=${spec}`, `--vars=${JSON.stringify(known)}`];
  const { status, stdout, stderr } = spawnSync(program, args, { input: text, encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout, (_key, value: unknown) => withoutAbsent(value)) as Module;
}

const withoutAbsent = (value: unknown): unknown =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
    ? Object.fromEntries(
        Object.entries(value).filter(([, inner]) => inner !== null && !(Array.isArray(inner) && inner.length === 0)),
      )
    : value;

const documentOf = (resource: Resource | undefined, argument = 'policy'): unknown =>
  JSON.parse(String(resource?.[argument])) as unknown;

test("the role's documents are those of the guide", () => {
  const { resource, output } = read(terraformModule(full));
  const role = resource['aws_iam_role']?.['dreamdata'];
  const policies = resource['aws_iam_role_policy'];
  expect(role?.['name']).toBe('dreamdata-data-platform');
  expect(documentOf(role, 'assume_role_policy')).toEqual(trustPolicy(full.accountId));
  expect(Object.keys(policies ?? {})).toEqual(['DreamdataDataPlatform', 'KMSEncryption']);
  expect(documentOf(policies?.['DreamdataDataPlatform'])).toEqual(permissionPolicy(full.bucket));
  expect(documentOf(policies?.['KMSEncryption'])).toEqual(kmsPolicy(full.kmsKeyArn ?? ''));
  expect(policies?.['KMSEncryption']?.['role']).toBe('the role');
  expect(output).toEqual({ role_arn: { value: 'the ARN' }, bucket_name: { value: 'acme-dreamdata' } });
});

test('the bucket is private and encrypted with its key, and expires dumps', () => {
  const { resource } = read(terraformModule(full));
  expect(resource['aws_s3_bucket']?.['dumps']).toEqual({ bucket: 'acme-dreamdata' });
  expect(resource['aws_s3_bucket_public_access_block']?.['dumps']).toEqual({
    bucket: 'the bucket',
    block_public_acls: true,
    block_public_policy: true,
    ignore_public_acls: true,
    restrict_public_buckets: true,
  });
  expect(resource['aws_s3_bucket_server_side_encryption_configuration']?.['dumps']?.['rule']).toEqual([
    {
      bucket_key_enabled: true,
      apply_server_side_encryption_by_default: { sse_algorithm: 'aws:kms', kms_master_key_id: full.kmsKeyArn },
    },
  ]);
  const filter = { prefix: "exports/o'clock & co/20" };
  expect(resource['aws_s3_bucket_lifecycle_configuration']?.['dumps']).toEqual({
    bucket: 'the bucket',
    rule: [
      { id: 'dreamdata-expire-dumps', status: 'Enabled', filter, expiration: { days: 30 } },
      {
        id: 'dreamdata-end-incomplete-uploads',
        status: 'Enabled',
        filter,
        abort_incomplete_multipart_upload: { days_after_initiation: 1 },
      },
    ],
  });
});

test('a bucket that exists is not made; its lifecycle is set', () => {
  const { resource } = read(terraformModule({ ...plain, bucketExists: true }));
  expect(Object.keys(resource).sort()).toEqual([
    'aws_iam_role',
    'aws_iam_role_policy',
    'aws_s3_bucket_lifecycle_configuration',
  ]);
  expect(resource['aws_s3_bucket_lifecycle_configuration']?.['dumps']?.['bucket']).toBe('acme-dreamdata');
});

test('a mistake in the module would be found', () => {
  expect(() => read(terraformModule(plain).replace('days =', 'day ='))).toThrow('Unsupported argument');
  expect(() => read(terraformModule(plain).replace('"acme-dreamdata"', '"acme'))).toThrow('Error');
});

const resourcesOf = ({ resource }: Module): string[] =>
  Object.entries(resource).flatMap(([type, named]) => Object.keys(named).map((name) => `${type}.${name}`));

test.each(hostileTexts)('the value %j stays text', (text) => {
  const hostile = read(terraformModule(filledWith(text)));
  expect(resourcesOf(hostile)).toEqual(resourcesOf(read(terraformModule(filledWith('harmless')))));
  expect(hostile.resource['aws_s3_bucket']?.['dumps']?.['bucket']).toBe(text);
  expect(documentOf(hostile.resource['aws_iam_role']?.['dreamdata'], 'assume_role_policy')).toEqual(
    trustPolicy(text as CustomerSetUp['accountId'], text),
  );
});

test('without the doubling of its signs a value would be evaluated', () => {
  expect(hclValue('${a} %{b}')).toBe('"$${a} %%{b}"');
  expect(() => read(terraformModule(filledWith('${a}')).replaceAll('$${', '${'))).toThrow('Error');
});
