import { inspect } from 'node:util';
import { KMSServiceException } from '@aws-sdk/client-kms';
import { S3ServiceException } from '@aws-sdk/client-s3';
import { STSServiceException } from '@aws-sdk/client-sts';
import { ApiError } from '@google-cloud/storage';
import type { ApplicationFailure } from '@temporalio/common';
import { failureRules, type FailureDetails, type FailureType } from '../src/contract';
import { parseAccountId, parseDestination, parseKmsKeyArn, parseTableName } from '../src/dump/inputs';
import { unwrapPolicy } from '../src/dump/policies';
import {
  bucketRegionIn,
  customerRoleFailure,
  extractFailure,
  failure,
  lacksIdentity,
  payloadKeyFailure,
  putFailure,
  stagingFailure,
  stagingFilesGone,
  vendorRoleFailure,
  warehouseFailure,
  withoutSecrets,
  workerIdentityFailure,
} from '../src/failures';
import { workerIdentityPatienceMs } from '../src/timing';

const settings = parseDestination({
  roleArn: 'arn:aws:iam::111122223333:role/dreamdata-data-platform',
  bucket: 'acme-dreamdata',
});
const vendorRoleArn = 'arn:aws:iam::485801740390:role/dreamdata_destination_s3';
const chain = { accountId: parseAccountId('acc_7Hq2'), roleArn: settings.roleArn, vendorRoleArn };
const key = '2023-01-02T15:04/companies/companies_000000000000.ndjson.gz';
const companies = parseTableName('companies');

/** As the SDK throws it: the code of the answer is the name. */
const aws = (
  Exception: typeof KMSServiceException | typeof S3ServiceException | typeof STSServiceException,
  status: number,
  name: string,
  message: string,
) =>
  new Exception({ name, message, $fault: status < 500 ? 'client' : 'server', $metadata: { httpStatusCode: status } });
const s3 = (status: number, name: string, message = 'no') => aws(S3ServiceException, status, name, message);
const kms = (status: number, name: string, message = 'no') => aws(KMSServiceException, status, name, message);
const sts = (status: number, name: string, message = 'no') => aws(STSServiceException, status, name, message);
/** As both Google clients throw it; the class is named plainly Error. */
const google = (code: number, reason: string, message = 'no') =>
  Object.assign(new ApiError(message), { code, errors: [{ domain: 'global', reason, message }] });
const network = (code: string) =>
  Object.assign(new Error(`connect ${code} 10.0.0.1:443`), { code, syscall: 'connect' });

const named = (name: string, message: string) => Object.assign(new Error(message), { name });
const remedyOf = ({ details }: ApplicationFailure): string => ((details ?? []) as FailureDetails[])[0]?.remedy ?? '';
/** Compared as text, so that a difference is shown. */
const begins = (text: string, beginning: string): void => expect(text.slice(0, beginning.length)).toBe(beginning);

const put = (error: unknown) => putFailure(error, settings, key);
const warehouse = (error: unknown) => warehouseFailure(error, 'acme-prod.data_platform', companies);
const extract = (reason: string, message: string) =>
  extractFailure({ reason, message }, { dataset: 'acme-prod.data_platform', table: companies }, 'acme-staging-eu');
const staging = (error: unknown) => stagingFailure(error, 'acme-staging-eu');
const stagedFile = (error: unknown) => stagingFailure(error, 'acme-staging-eu', 'acc_7Hq2/schema.json');
const customerRole = (error: unknown) => customerRoleFailure(error, chain);
const vendorRole = (error: unknown) => vendorRoleFailure(error, vendorRoleArn);
const workerIdentity = (error: unknown, lackingMs = 0) => workerIdentityFailure(error, vendorRoleArn, lackingMs);

const notAuthorised = (action: string) =>
  `User: arn:aws:sts::111122223333:assumed-role/dreamdata-data-platform/acc_7Hq2 is not authorized to perform: ${action}`;

/** What an extract job ends with (VPC Service Controls documentation, "Troubleshooting", BigQuery). */
const jobMayNotWrite = 'Access Denied: BigQuery BigQuery: Permission denied while writing data.';

const refusals: readonly [FailureType, ApplicationFailure][] = [
  ['RoleNotAssumable', customerRole(sts(403, 'AccessDenied', notAuthorised('sts:AssumeRole')))],
  ['VendorRoleNotAssumable', vendorRole(sts(403, 'AccessDenied', notAuthorised('sts:AssumeRole')))],
  ['VendorRoleNotAssumable', workerIdentity(sts(403, 'InvalidClientTokenId', 'The security token is invalid'))],
  ['VendorRoleNotAssumable', workerIdentity(sts(403, 'SignatureDoesNotMatch', 'The signature does not match'))],
  ['VendorSetUpRefused', vendorRole(sts(403, 'RegionDisabledException', 'STS is not activated in this region'))],
  ['VendorSetUpRefused', customerRole(sts(403, 'RegionDisabledException', 'STS is not activated in this region'))],
  ['VendorSetUpRefused', customerRole(sts(400, 'MalformedPolicyDocumentException', 'Syntax errors in policy'))],
  ['VendorSetUpRefused', customerRole(sts(400, 'MalformedPolicyDocument', 'Syntax errors in policy'))],
  ['VendorSetUpRefused', customerRole(sts(400, 'PackedPolicyTooLargeException', 'Packed size is 120 %'))],
  ['VendorSetUpRefused', customerRole(sts(400, 'ValidationError', 'Invalid RoleArn'))],
  ['BucketAccessDenied', put(s3(403, 'AccessDenied', 'Access Denied'))],
  ['BucketMissing', put(s3(404, 'NoSuchBucket', 'The specified bucket does not exist'))],
  ['KmsDenied', put(s3(403, 'AccessDenied', notAuthorised('kms:GenerateDataKey on resource: arn:aws:kms:…')))],
  ['KmsDenied', put(s3(400, 'KMS.DisabledException', 'The key is disabled'))],
  ['KmsDenied', put(s3(400, 'KMS.NotFoundException', 'Invalid keyId'))],
  ['KmsDenied', put(s3(400, 'KMS.KMSInvalidStateException', 'arn:aws:kms:… is pending deletion.'))],
  ['KmsDenied', put(s3(400, 'KMS.InvalidKeyUsageException', 'The key usage is SIGN_VERIFY'))],
  ['PutRefused', put(s3(400, 'AccessControlListNotSupported', 'The bucket does not allow ACLs'))],
  ['PutRefused', put(s3(400, 'InvalidRequest', 'The request is not valid'))],
  ['PutRefused', put(s3(403, 'AccountProblem', 'There is a problem with your AWS account'))],
  ['PutRefused', put(s3(403, 'AllAccessDisabled', 'All access to this object has been disabled'))],
  ['PutRefused', put(s3(403, 'NotSignedUp', 'Your account is not signed up'))],
  ['TableMissing', warehouse(google(404, 'notFound', 'Not found: Table acme-prod:data_platform.companies'))],
  ['WarehouseAccessDenied', warehouse(google(403, 'accessDenied', 'Access Denied: Table …'))],
  ['WarehouseAccessDenied', warehouse(google(403, 'billingNotEnabled', 'Billing has not been enabled'))],
  [
    'SnapshotExpired',
    warehouse(google(400, 'invalid', 'Invalid time travel timestamp 1 for table t. Cannot read before 2')),
  ],
  ['SnapshotExpired', warehouse(google(400, 'invalid', 'Invalid snapshot time 1 for table t'))],
  ['ExtractRefused', warehouse(google(400, 'invalid', 'Operation cannot be performed on a nested schema'))],
  ['StagingBucketMissing', staging(google(404, 'notFound', 'The specified bucket does not exist.'))],
  ['StagingFilesGone', stagedFile(google(404, 'notFound', 'No such object'))],
  ['StagingFilesGone', stagingFilesGone('acme-staging-eu', 'acc_7Hq2/companies_000000000001.ndjson.gz')],
  ['StagingAccessDenied', staging(google(403, 'forbidden', 'does not have storage.objects.list access'))],
  ['StagingAccessDenied', staging(google(401, 'required', 'Login Required'))],
  // A finished job has failed: its errorResult, not an exception.
  ['TableMissing', extract('notFound', 'Not found: Table companies')],
  ['ExtractRefused', extract('invalid', 'Cannot export')],
  ['WarehouseAccessDenied', extract('accessDenied', 'Access Denied: Table …')],
  ['StagingAccessDenied', extract('accessDenied', jobMayNotWrite)],
];

test.each(refusals)('%s is left to a person, who is told what to change', (type, refused) => {
  expect(refused).toMatchObject({ type, nonRetryable: true });
  const whose = { customer: 'For the customer to mend: ', vendor: 'For us to mend: ', nobody: 'What follows: ' };
  const [what, remedy = ''] = refused.message.split(whose[failureRules[type].mender]);
  expect(what).toMatch(/\[\w+=[^\]]+\]/);
  expect(remedy).toMatch(/.{20}/);
  expect(refused.details).toEqual([{ problem: what?.trimEnd(), remedy }]);
});

test('every failure type that an answer can lead to has a case above', () => {
  // Those are not answers: activities and workflows find them by themselves.
  const found: FailureType[] = [
    'StagingLocationNotConfigured',
    'TableNotExtractable',
    'ShardTooLarge',
    'Superseded',
    'Abandoned',
    'RoleOpen',
  ];
  const covered = new Set([...found, ...refusals.map(([type]) => type)]);
  expect([...covered].toSorted()).toEqual(Object.keys(failureRules).toSorted());
});

test("clocks that differ are nobody's policy: it is tried again, and the clock is named", () => {
  const tooSkewed = "The difference between the request time and the server's time is too large";
  const expired =
    'Signature expired: 20230102T150400Z is now earlier than 20230102T160400Z (20230102T161900Z - 15 min.)';
  const early = 'Signature not yet current: 20230102T170400Z is still later than 20230102T160400Z';
  for (const skewed of [
    put(s3(403, 'RequestTimeTooSkewed', tooSkewed)),
    workerIdentity(sts(403, 'SignatureDoesNotMatch', expired)),
    vendorRole(sts(403, 'SignatureDoesNotMatch', early)),
    customerRole(sts(403, 'SignatureDoesNotMatch', expired)),
  ]) {
    expect(skewed).toMatchObject({ type: 'Transient', nonRetryable: false });
    expect(skewed.message).toContain("the worker's clock is wrong");
  }
});

test.each([
  [
    'the worker’s own credentials',
    /^AWS does not take the worker's own credentials, with which it assumes the vendor role \[/,
    workerIdentity(sts(403, 'InvalidClientTokenId')),
  ],
  ['worker → vendor role', /^The worker may not assume the vendor role \[/, vendorRole(sts(403, 'AccessDenied'))],
  ['worker → vendor role', /^The worker could not assume the vendor role \[/, vendorRole(sts(500, 'InternalFailure'))],
  [
    'worker → vendor role',
    /^STS does not take the request with which the worker assumes the vendor role \[/,
    vendorRole(sts(400, 'ValidationError')),
  ],
  [
    'vendor → customer role',
    /^The vendor role may not assume the customer role \[/,
    customerRole(sts(403, 'AccessDenied')),
  ],
  [
    'vendor → customer role',
    /^The vendor role could not assume the customer role \[/,
    customerRole(sts(500, 'InternalFailure')),
  ],
  [
    'vendor → customer role',
    /^STS does not take the request with which the vendor role assumes the customer role \[/,
    customerRole(sts(400, 'ValidationError')),
  ],
  ['put', /^S3 refused a put \[/, put(s3(403, 'AccessDenied'))],
  ['put', /^Could not put \[/, put(s3(500, 'InternalError'))],
  ['KMS', /^KMS refused S3 the key for a put \[/, put(s3(400, 'KMS.DisabledException'))],
])('the hop is told: %s, %s', (_hop, words, { message }) => {
  expect(message).toMatch(words);
});

/** As AWS words it (IAM user guide, "Troubleshoot access denied error messages"). */
const denied = (kind: string, action: string): string =>
  `${notAuthorised(action)} with an explicit deny in ${/^[aei]/.test(kind) ? 'an' : 'a'} ${kind}`;
const notAllowed = (kind: string, action: string): string =>
  `${notAuthorised(action)} because no ${kind} allows the ${action} action`;

const wordings = { denies: denied, 'does not allow': notAllowed };

const exemption = `{"ArnNotEquals":{"aws:PrincipalArn":"${settings.roleArn}"}}`;

describe('a policy that AWS blames is told from the others: of a put,', () => {
  test.each<[string, keyof typeof wordings, string]>([
    [
      'resource-based policy',
      'denies',
      `the bucket's policy denies it, and no statement that allows outweighs that: take the denying statement out, or exempt the role from it by the condition ${exemption}`,
    ],
    ['service control policy', 'denies', `a service control policy of the customer's organization denies it`],
    ['resource control policy', 'denies', `a resource control policy of the customer's organization denies it`],
    [
      'identity-based policy',
      'denies',
      `the role's own policy denies it, and no statement that allows outweighs that: take the denying statement out.`,
    ],
    ['identity-based policy', 'does not allow', `the role's permission policy must be {`],
    [
      'resource-based policy',
      'does not allow',
      `the bucket's policy must have the statement {"Sid":"DreamdataDataPlatform","Effect":"Allow","Principal":{"AWS":"${settings.roleArn}"}`,
    ],
    [
      'permissions boundary',
      'does not allow',
      `the role's permissions boundary must allow s3:PutObject and s3:PutObjectAcl on arn:aws:s3:::acme-dreamdata/*`,
    ],
    [
      'service control policy',
      'does not allow',
      `a service control policy of the customer's organization must allow s3:PutObject`,
    ],
  ])('the customer’s %s %s', (kind, worded, remedy) => {
    const failed = put(s3(403, 'AccessDenied', wordings[worded](kind, 's3:PutObject')));
    expect(failed.type).toBe('BucketAccessDenied');
    begins(remedyOf(failed), remedy);
  });

  test.each<[string, keyof typeof wordings]>([
    ['session policy', 'does not allow'],
    ['session policy', 'denies'],
    ['VPC endpoint policy', 'does not allow'],
    ['VPC endpoint policy', 'denies'],
  ])('our %s %s: not the customer’s to mend', (kind, worded) => {
    const { type, message } = put(s3(403, 'AccessDenied', wordings[worded](kind, 's3:PutObjectAcl')));
    expect(type).toBe('VendorSetUpRefused');
    expect(message).toContain(`our ${kind} must allow s3:PutObjectAcl on arn:aws:s3:::acme-dreamdata/${key}`);
  });
});

describe('a policy that AWS blames is told from the others: of a key,', () => {
  const keyArn = 'arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab';
  const action = `kms:GenerateDataKey on resource: ${keyArn}`;
  const rolePolicy = `the role ${settings.roleArn} needs the policy {"Version":"2012-10-17","Statement":[{"Sid":"KMSEncryption","Effect":"Allow","Action":["kms:GenerateDataKey","kms:Decrypt"],"Resource":"${keyArn}"}]}`;
  const keyPolicy = `the key's own policy must have the statement {"Sid":"DreamdataEncryption","Effect":"Allow","Principal":{"AWS":"${settings.roleArn}"},"Action":["kms:GenerateDataKey","kms:Decrypt"],"Resource":"*"}`;

  test.each([
    ['the role’s', notAllowed('identity-based policy', action), `${rolePolicy}.`],
    ['the key’s', notAllowed('resource-based policy', action), `${keyPolicy}.`],
    [
      'a key’s that denies',
      denied('resource-based policy', action),
      `the key's policy denies it, and no statement that allows outweighs that: take the denying statement out, or exempt the role from it by the condition ${exemption}.`,
    ],
    [
      'an organization’s',
      denied('service control policy', action),
      `a service control policy of the customer's organization denies it`,
    ],
    [
      'a boundary',
      notAllowed('permissions boundary', action),
      `the role's permissions boundary must allow kms:GenerateDataKey and kms:Decrypt on ${keyArn}`,
    ],
    [
      'none, where KMS does not say',
      notAuthorised(action),
      `the key must be in the region of the bucket acme-dreamdata, ${rolePolicy}, and ${keyPolicy}.`,
    ],
  ])('%s', (_whose, said, remedy) => {
    const failed = put(s3(403, 'AccessDenied', said));
    expect(failed.type).toBe('KmsDenied');
    begins(remedyOf(failed), remedy);
  });

  test('ours, which is not the customer’s to mend', () => {
    expect(put(s3(403, 'AccessDenied', notAllowed('session policy', action))).type).toBe('VendorSetUpRefused');
  });

  test('a key of another account, of which KMS says less', () => {
    const said = `${notAuthorised('kms:GenerateDataKey')} on this resource because the resource does not exist in this Region, no resource-based policies allow access, or a resource-based policy explicitly denies access`;
    const { type, message } = putFailure(
      s3(403, 'AccessDenied', said),
      { ...settings, kmsKeyArn: parseKmsKeyArn(keyArn) },
      key,
    );
    expect(type).toBe('KmsDenied');
    expect(message).toContain(rolePolicy);
    expect(message).toContain(keyPolicy);
  });
});

describe('the state of a key comes with what to do about it:', () => {
  const keyArn = 'arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab';
  const explicit = { ...settings, kmsKeyArn: parseKmsKeyArn(keyArn) };
  // S3's words, as LocalStack's tests recorded them from AWS.
  test.each([
    ['KMS.DisabledException', `${keyArn} is disabled.`, `enable the key: aws kms enable-key --key-id ${keyArn}; or `],
    [
      'KMS.KMSInvalidStateException',
      `${keyArn} is pending deletion.`,
      `aws kms cancel-key-deletion --key-id ${keyArn}, then aws kms enable-key --key-id ${keyArn}; or `,
    ],
    [
      'KMS.NotFoundException',
      `Key '${keyArn}' does not exist`,
      'the key must exist and be in the region of the bucket acme-dreamdata: ',
    ],
    [
      'KMS.NotFoundException',
      'Invalid arn eu-west-1',
      'the key must exist and be in the region of the bucket acme-dreamdata: ',
    ],
    [
      'KMS.InvalidKeyUsageException',
      `${keyArn} key usage is SIGN_VERIFY`,
      'S3 takes symmetric keys for encryption only: ',
    ],
    ['KMS.InvalidGrantTokenException', 'no', `see what KMS says above of the key ${keyArn}; or `],
  ])('%s: %s', (name, said, remedy) => {
    const failed = putFailure(s3(400, name, said), explicit, key);
    expect(failed.type).toBe('KmsDenied');
    expect(failed.message).toContain(`${remedy}connect again with another --kms-key-arn, or without one.`);
    expect(put(s3(400, name, said)).message).toContain("make another the bucket's default encryption.");
  });

  test('the key that the destination names is meant where KMS names none; of the bucket’s default nobody knows', () => {
    const disabled = s3(400, 'KMS.DisabledException', 'The key is disabled');
    expect(putFailure(disabled, explicit, key).message).toContain(`--key-id ${keyArn};`);
    expect(put(disabled).message).toContain("--key-id THE ARN OF THE BUCKET'S KEY;");
  });
});

test('a refused put names bucket and key, what S3 said, and what S3 may mean where it gives no reason', () => {
  const { message } = put(s3(403, 'AccessDenied', 'Access Denied'));
  expect(message).toContain(`[bucket=acme-dreamdata key=${key}]: AccessDenied: Access Denied.`);
  expect(message).toContain('must belong to account 111122223333');
  expect(message).toContain('"Action":["s3:PutObject","s3:PutObjectAcl"]');
  expect(message).not.toContain("the bucket's policy must have the statement");
});

test('a bucket that is meant to be of another account must let the role in by its own policy, too', () => {
  const elsewhere = parseDestination({ ...settings, bucketOwner: '444455556666' });
  const { message } = putFailure(s3(403, 'AccessDenied', 'Access Denied'), elsewhere, key);
  expect(message).toContain('must belong to account 444455556666');
  expect(message).toContain(
    `the bucket's policy must have the statement {"Sid":"DreamdataDataPlatform","Effect":"Allow","Principal":{"AWS":"${settings.roleArn}"},"Action":["s3:PutObject","s3:PutObjectAcl"],"Resource":"arn:aws:s3:::acme-dreamdata/*"}`,
  );
});

test('a statement that denies may ask for headers: those of our puts are told, and how to have the one for KMS', () => {
  const said = s3(403, 'AccessDenied', denied('resource-based policy', 's3:PutObject'));
  expect(put(said).message).toContain(
    'no header of encryption, as the bucket encrypts by its default: where the statement demands aws:kms, connect again with --kms-key-arn',
  );
  const kmsKeyArn = parseKmsKeyArn('arn:aws:kms:eu-west-1:111122223333:key/1234abcd');
  const explicit = putFailure(said, { ...settings, kmsKeyArn }, key);
  expect(explicit.message).toContain(`x-amz-server-side-encryption: aws:kms with the key ${kmsKeyArn}.`);
});

test.each([
  ['AccessControlListNotSupported', 'The bucket does not allow ACLs', 'the ACL bucket-owner-full-control'],
  [
    'InvalidRequest',
    'Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters',
    'take the default retention off the bucket',
  ],
  ['InvalidRequest', 'no', 'S3 says why above'],
  ['AccountProblem', 'no', 'AWS Support'],
  ['KeyTooLongError', 'Your key is too long', '--path'],
])('what S3 refuses for good comes with what to change: %s', (name, said, remedy) => {
  const { type, message } = put(s3(400, name, said));
  expect(type).toBe('PutRefused');
  expect(message).toContain(remedy);
});

describe('a bucket of another region', () => {
  const redirected = (name: string, more: object, message = 'no') => Object.assign(s3(400, name, message), more);
  const incompatible = 'location constraint is incompatible for the region specific endpoint this request was sent to.';

  test.each([
    [
      'by a header',
      redirected('PermanentRedirect', { $response: { headers: { 'x-amz-bucket-region': 'eu-west-1' } } }),
    ],
    ['in the answer', redirected('AuthorizationHeaderMalformed', { Region: 'eu-west-1' })],
    ['in its words', redirected('IllegalLocationConstraintException', {}, `The eu-west-1 ${incompatible}`)],
  ])('is found where S3 names the region %s', (_how, error) => {
    expect(bucketRegionIn(error)).toBe('eu-west-1');
    // It was followed there, and sent on: it is S3 that does not know yet.
    expect(put(error)).toMatchObject({
      type: 'Transient',
      message: expect.stringContaining('now to eu-west-1') as string,
    });
  });

  test.each(['PermanentRedirect', 'AuthorizationHeaderMalformed', 'IllegalLocationConstraintException'])(
    'is ours to find where S3 does not: %s',
    (name) => {
      const error = redirected(name, {}, `The unspecified ${incompatible}`);
      expect(bucketRegionIn(error)).toBeUndefined();
      const { type, message } = put(error);
      expect(type).toBe('VendorSetUpRefused');
      expect(message).toContain("set the workers' AWS_REGION to it");
    },
  );
});

describe('credentials of the worker itself', () => {
  test.each([
    [
      'expired',
      sts(403, 'ExpiredToken', 'The security token included in the request is expired'),
      "The worker's own AWS credentials have expired",
    ],
    [
      'expired at whom they come from',
      sts(400, 'ExpiredTokenException', 'Token expired'),
      "The worker's own AWS credentials have expired",
    ],
    [
      'missing',
      named('CredentialsProviderError', 'Could not load credentials from any providers'),
      'The worker has no AWS credentials of its own',
    ],
    [
      'refused by whom they come from',
      sts(400, 'InvalidIdentityTokenException', 'No OpenIDConnect provider found'),
      "The worker's own AWS credentials were refused to it",
    ],
  ])('that are %s may be renewed in a moment; after some time a person is told', (_how, error, problem) => {
    expect(lacksIdentity(error)).toBe(true);
    const soon = workerIdentity(error, workerIdentityPatienceMs - 1);
    expect(soon).toMatchObject({ type: 'Transient', nonRetryable: false });
    begins(soon.message, problem);
    expect(soon.message).toContain(
      'For us to mend where this goes on: renew the AWS credentials that the worker runs with',
    );
    const late = workerIdentity(error, workerIdentityPatienceMs);
    expect(late).toMatchObject({ type: 'VendorRoleNotAssumable', nonRetryable: true });
    begins(late.message, problem);
    expect(late.message).toContain('for 10 minutes: ');
  });

  test('that STS could not be asked about are not taken for missing ones, however long', () => {
    for (const error of [
      network('ETIMEDOUT'),
      sts(400, 'Throttling', 'Rate exceeded'),
      sts(503, 'ServiceUnavailable'),
    ]) {
      expect(lacksIdentity(error)).toBe(false);
      expect(workerIdentity(error, 10 * workerIdentityPatienceMs)).toMatchObject({ type: 'Transient' });
    }
  });
});

test('a vendor role that cannot be assumed comes with the policy that the worker needs', () => {
  const { message } = vendorRole(sts(403, 'AccessDenied'));
  expect(message).toContain(`{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"${vendorRoleArn}"}`);
});

test('a role that cannot be assumed comes with the trust policy that is needed, external id and all', () => {
  const { message } = customerRole(sts(403, 'AccessDenied'));
  expect(message).toContain(`[role=${settings.roleArn} externalId=acc_7Hq2]`);
  expect(message).toContain('"Condition":{"StringEquals":{"sts:ExternalId":"acc_7Hq2"}}');
  expect(message).toContain(`"Principal":{"AWS":"${vendorRoleArn}"}`);
});

test.each<[string, keyof typeof wordings, FailureType]>([
  ['role trust policy', 'does not allow', 'RoleNotAssumable'],
  ['resource-based policy', 'does not allow', 'RoleNotAssumable'],
  ['resource control policy', 'denies', 'RoleNotAssumable'],
  ['identity-based policy', 'does not allow', 'VendorSetUpRefused'],
  ['identity-based policy', 'denies', 'VendorSetUpRefused'],
  ['service control policy', 'denies', 'VendorSetUpRefused'],
  ['VPC endpoint policy', 'does not allow', 'VendorSetUpRefused'],
])(
  'whose it is that the customer role cannot be assumed follows from the policy that AWS blames: %s %s',
  (kind, worded, type) => {
    const failed = customerRole(sts(403, 'AccessDenied', wordings[worded](kind, 'sts:AssumeRole')));
    expect(failed.type).toBe(type);
    expect(failed.message.includes('sts:ExternalId')).toBe(type === 'RoleNotAssumable');
  },
);

test('a vendor role that may assume nothing comes with the policy that it needs', () => {
  const { message } = customerRole(sts(403, 'AccessDenied', notAllowed('identity-based policy', 'sts:AssumeRole')));
  expect(message).toContain(
    `give the vendor role the policy {"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"${settings.roleArn}"}]}`,
  );
});

test('a refused extraction names the table', () => {
  expect(warehouse(google(404, 'notFound')).message).toContain('[table=acme-prod.data_platform.companies]');
});

describe('is retried by Temporal', () => {
  test.each([
    ['a lost connection to S3', put(network('ECONNRESET'))],
    ['an unknown host of STS', customerRole(network('ENOTFOUND'))],
    ['a vendor role that STS does not answer for', vendorRole(network('ETIMEDOUT'))],
    ['a worker whom STS does not know yet', workerIdentity(network('ETIMEDOUT'))],
    ['a lost connection to BigQuery', warehouse(network('ECONNREFUSED'))],
    ['a lost connection to Cloud Storage', staging(network('EPIPE'))],
    ['a timeout', put(Object.assign(new Error('Socket timed out'), { name: 'TimeoutError' }))],
    ['an internal error of S3', put(s3(500, 'InternalError'))],
    ['a body that S3 finds damaged', put(s3(400, 'BadDigest', 'The CRC32C you specified did not match'))],
    // Of this session, not of the role: the next attempt has a new one.
    ['an expired session', put(s3(400, 'ExpiredToken', 'The provided token has expired.'))],
    ['a session that is not known yet', put(s3(403, 'InvalidAccessKeyId'))],
    ['a put that came too late to be taken', put(s3(403, 'AccessDenied', 'Request has expired'))],
    ['an internal error of KMS', put(s3(500, 'KMS.KMSInternalException'))],
    ['a key that KMS cannot reach', put(s3(500, 'KMS.KeyUnavailableException'))],
    ['a bucket whose name is not known everywhere yet', put(s3(307, 'TemporaryRedirect'))],
    ['throttling by STS', customerRole(sts(400, 'Throttling', 'Rate exceeded'))],
    ['a backend error of BigQuery', warehouse(google(500, 'backendError'))],
    ['an unavailable BigQuery', warehouse(google(503, 'internalError'))],
    ['a job that somebody stopped', warehouse({ state: 'failed', reason: 'stopped', message: 'Job cancelled' })],
    ['an unavailable Cloud Storage', staging(google(503, 'backendError'))],
    ['something that is no error at all', put('what?')],
  ])('%s', (_what, { type, nonRetryable, nextRetryDelay, message }) => {
    expect({ type, nonRetryable, nextRetryDelay }).toEqual({ type: 'Transient', nonRetryable: false });
    expect(message).toMatch(/\[\w+=[^\]]+\]/);
  });
});

test.each([
  ['S3', put(s3(503, 'SlowDown', 'Please reduce your request rate.'))],
  ['a bucket that is busy', put(s3(503, 'ServiceUnavailable', 'Reduce your request rate.'))],
  ['KMS', put(s3(400, 'KMS.ThrottlingException', 'Rate exceeded'))],
  ['Cloud Storage', staging(google(429, 'rateLimitExceeded'))],
])('%s that asks for a slower pace is told apart, so that less is put at a time', (_who, failed) => {
  expect(failed).toMatchObject({
    type: 'SlowDown',
    nonRetryable: false,
    message: expect.stringMatching(/slower pace \[/),
  });
});

test('BigQuery is left alone for ten minutes when a quota is used up, for seconds when it asks for a slower pace', () => {
  const minuteMs = 60_000;
  const delayMs = (reason: string): number => Number(warehouse(google(403, reason)).nextRetryDelay);
  expect(delayMs('quotaExceeded')).toBeGreaterThanOrEqual(10 * minuteMs);
  for (const reason of ['rateLimitExceeded', 'jobRateLimitExceeded']) {
    expect(delayMs(reason)).toBeGreaterThanOrEqual(1000);
    expect(delayMs(reason)).toBeLessThan(minuteMs);
    expect(warehouse(google(403, reason)).nonRetryable).toBe(false);
  }
});

test('a failure that has been named already keeps its name', () => {
  const already = failure('VendorRoleNotAssumable', 'No.', 'do something.');
  for (const again of [put, warehouse, staging, customerRole]) expect(again(already)).toBe(already);
});

test('secrets that vendors put into their answers are not in the failure, its cause or a stack', () => {
  const secrets = [
    'ASIAXXXXXXXXXXXXXXXX',
    'AKIAIOSFODNN7EXAMPLE',
    'FwoGZXIvYXdzEXAMPLE',
    'wJalrXUtnFEMIEXAMPLE',
    'd2f1a9',
  ];
  const said =
    'The key ASIAXXXXXXXXXXXXXXXX (was AKIAIOSFODNN7EXAMPLE) is gone: ' +
    'SessionToken=FwoGZXIvYXdzEXAMPLE secret_access_key: wJalrXUtnFEMIEXAMPLE {"token":"FwoGZXIvYXdzEXAMPLE"} ' +
    'https://s3/?X-Amz-Credential=ASIAXXXXXXXXXXXXXXXX%2Fus-east-1&X-Amz-Security-Token=FwoGZXIvYXdzEXAMPLE&X-Amz-Signature=d2f1a9';
  const failures = [
    put(s3(403, 'AccessDenied', said)),
    put(s3(403, 'InvalidAccessKeyId', said)),
    put(new Error('Failed', { cause: new Error(said) })),
    put(said),
    customerRole(sts(403, 'AccessDenied', said)),
    vendorRole(sts(403, 'AccessDenied', said)),
    workerIdentity(sts(403, 'ExpiredToken', said)),
    warehouse(google(403, 'accessDenied', said)),
    staging(google(500, 'backendError', said)),
    staging(Object.assign(new Error('Failed'), { config: { headers: { authorization: said } } })),
  ];
  for (const shown of failures) {
    const all = [inspect(shown, { depth: null, showHidden: true }), shown.stack, shown.cause?.stack].join('\n');
    for (const secret of secrets) expect(all).not.toContain(secret);
  }
});

test('the cause keeps what the vendor called it', () => {
  expect(put(s3(404, 'NoSuchBucket', 'The specified bucket does not exist')).cause).toMatchObject({
    name: 'NoSuchBucket',
    message: 'The specified bucket does not exist',
  });
});

const tableDenied = (permission: string) =>
  google(
    403,
    'accessDenied',
    `Access Denied: Table acme-prod:data_platform.companies: Permission ${permission} denied on table acme-prod:data_platform.companies (or it may not exist).`,
  );
const objectDenied = (permission: string) =>
  google(
    403,
    'forbidden',
    `worker@acme.iam.gserviceaccount.com does not have ${permission} access to the Google Cloud Storage object. Permission '${permission}' denied on resource (or it may not exist).`,
  );

test.each([
  [
    warehouse(tableDenied('bigquery.tables.get')),
    'bigquery.tables.get on acme-prod.data_platform (roles/bigquery.dataViewer)',
  ],
  [
    warehouse(tableDenied('bigquery.tables.export')),
    'bigquery.tables.export on acme-prod.data_platform (roles/bigquery.dataViewer)',
  ],
  [
    warehouse(
      google(403, 'accessDenied', 'Access Denied: Project p: User does not have bigquery.jobs.create permission in p.'),
    ),
    'bigquery.jobs.create in the project of the jobs (roles/bigquery.jobUser)',
  ],
  [staging(objectDenied('storage.objects.list')), 'storage.objects.list on gs://acme-staging-eu'],
  [staging(objectDenied('storage.objects.create')), 'storage.objects.create on gs://acme-staging-eu'],
  [stagedFile(objectDenied('storage.objects.get')), 'storage.objects.get on gs://acme-staging-eu'],
  [
    extract('accessDenied', jobMayNotWrite),
    'storage.objects.create and storage.objects.delete on gs://acme-staging-eu',
  ],
])('where Google names what is missing, that and no more is asked for: %s', ({ details }, permission) => {
  const [{ remedy }] = details as [{ remedy: string }];
  expect(remedy).toContain(`give the worker's Google identity ${permission}`);
  expect(remedy.match(/\b(bigquery|storage)\.\w+\.\w+/g)).toEqual(permission.match(/\b(bigquery|storage)\.\w+\.\w+/g));
});

test('where Google does not name what is missing, all that is needed is', () => {
  for (const permission of ['bigquery.tables.get', 'bigquery.tables.export', 'bigquery.jobs.create']) {
    expect(warehouse(google(403, 'accessDenied')).message).toContain(permission);
  }
  for (const permission of ['create', 'get', 'list', 'delete']) {
    expect(staging(google(403, 'forbidden')).message).toContain(`storage.objects.${permission}`);
  }
});

test('a job that another Google identity began is told from a missing right to begin jobs', () => {
  const said = 'Access Denied: Job acme:EU.j: Permission bigquery.jobs.get denied on job acme:EU.j';
  const { message } = warehouse(google(403, 'accessDenied', said));
  expect(message).toContain('another Google identity began the job');
  expect(message).not.toContain('bigquery.jobs.create');
});

test('a project without billing is not taken for a missing permission', () => {
  const { type, message } = warehouse(google(403, 'billingNotEnabled', 'Billing has not been enabled'));
  expect(type).toBe('WarehouseAccessDenied');
  expect(message).toContain('enable billing');
  expect(message).not.toContain('bigquery.');
});

test('a role whose name has kms in it is not taken for a fault of the key', () => {
  const said =
    'User: arn:aws:sts::111122223333:assumed-role/acme-kms-exports/x is not authorized to perform: s3:PutObject';
  expect(put(s3(403, 'AccessDenied', said)).type).toBe('BucketAccessDenied');
});

test('a table whose name has snapshot in it is not taken for one that can no longer be read', () => {
  const said = 'acme-prod:data.account_snapshots is not allowed for this operation because it is currently a VIEW.';
  expect(warehouse(google(400, 'invalid', said)).type).toBe('ExtractRefused');
});

test.each(['rateLimitExceeded', 'userRateLimitExceeded', 'quotaExceeded'])(
  'Cloud Storage that asks for a slower pace by 403 %s is not taken for a missing permission',
  (reason) => {
    expect(staging(google(403, reason))).toMatchObject({ type: 'SlowDown', nonRetryable: false });
  },
);

test('what follows Authorization is removed to the end of the line', () => {
  expect(withoutSecrets('Authorization: Bearer ya29.EXAMPLE')).toBe('Authorization: [removed]');
});

describe('a payload key that KMS does not unwrap:', () => {
  const kmsKeyArn = parseKmsKeyArn('arn:aws:kms:eu-west-1:485801740390:key/1234abcd-12ab-34cd-56ef-1234567890ab');
  const messageOf = (error: unknown): string =>
    payloadKeyFailure(error, { id: '2026-11', kmsKeyArn, wrapped: Buffer.from('wrapped') }).message;

  test("where AWS does not name the key, as for another account's, the policy names it all the same", () => {
    const said =
      'The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not allowed to access.';
    expect(messageOf(kms(400, 'AccessDeniedException', said))).toContain(JSON.stringify(unwrapPolicy(kmsKeyArn)));
  });

  test('what is no fault of the key is not laid on it', () => {
    const skewed = kms(400, 'InvalidSignatureException', 'Signature expired: 20261126T010000Z is now earlier than …');
    expect(messageOf(skewed)).toContain('let this machine follow a time server.');
    expect(messageOf(kms(400, 'InvalidSignatureException'))).toContain('give this process an AWS identity');
    expect(messageOf(new Error('getaddrinfo ENOTFOUND kms.eu-west-1.amazonaws.com'))).toContain(
      'see to it that this machine reaches KMS in the region of the key, and start again.',
    );
  });

  test('a key that is not for encryption is named', () => {
    expect(messageOf(kms(400, 'InvalidKeyUsageException'))).toContain('a symmetric key for encryption');
  });

  test("the error has neither what is wrapped nor AWS's answer as it came", () => {
    const error = kms(400, 'UnrecognizedClientException', 'The token AKIAIOSFODNN7EXAMPLE is invalid');
    const shown = inspect(payloadKeyFailure(error, { id: '2026-11', kmsKeyArn, wrapped: Buffer.from('wrapped') }));
    expect(shown).not.toMatch(/AKIAIOSFODNN7EXAMPLE|wrapped'|77 72 61/);
    expect(shown).toContain('[access key id]');
  });
});
