import { inspect } from 'node:util';
import { KMSServiceException } from '@aws-sdk/client-kms';
import { S3ServiceException } from '@aws-sdk/client-s3';
import { STSServiceException } from '@aws-sdk/client-sts';
import { ApiError } from '@google-cloud/storage';
import type { ApplicationFailure } from '@temporalio/common';
import { failureRules, type FailureType } from '../src/contract';
import { parseAccountId, parseDestination, parseKmsKeyArn, parseTableName } from '../src/dump/inputs';
import { unwrapPolicy } from '../src/dump/policies';
import {
  customerRoleFailure,
  failure,
  payloadKeyFailure,
  putFailure,
  stagingFailure,
  stagingFilesGone,
  vendorRoleFailure,
  warehouseFailure,
  withoutSecrets,
} from '../src/failures';

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

const put = (error: unknown) => putFailure(error, settings, key);
const warehouse = (error: unknown) => warehouseFailure(error, 'acme-prod.data_platform', companies);
const staging = (error: unknown) => stagingFailure(error, 'acme-staging-eu');
const stagedFile = (error: unknown) => stagingFailure(error, 'acme-staging-eu', 'acc_7Hq2/schema.json');
const customerRole = (error: unknown) => customerRoleFailure(error, chain);
const vendorRole = (error: unknown) => vendorRoleFailure(error, vendorRoleArn);

const notAuthorised = (action: string) =>
  `User: arn:aws:sts::111122223333:assumed-role/dreamdata-data-platform/acc_7Hq2 is not authorized to perform: ${action}`;

const refusals: readonly [FailureType, ApplicationFailure][] = [
  ['RoleNotAssumable', customerRole(sts(403, 'AccessDenied', notAuthorised('sts:AssumeRole')))],
  ['VendorRoleNotAssumable', vendorRole(sts(403, 'AccessDenied', notAuthorised('sts:AssumeRole')))],
  ['BucketAccessDenied', put(s3(403, 'AccessDenied', 'Access Denied'))],
  ['BucketMissing', put(s3(404, 'NoSuchBucket', 'The specified bucket does not exist'))],
  ['KmsDenied', put(s3(403, 'AccessDenied', notAuthorised('kms:GenerateDataKey on resource: arn:aws:kms:…')))],
  ['KmsDenied', put(s3(400, 'KMS.DisabledException', 'The key is disabled'))],
  ['KmsDenied', put(s3(400, 'KMS.NotFoundException', 'Invalid keyId'))],
  ['PutRefused', put(s3(400, 'AccessControlListNotSupported', 'The bucket does not allow ACLs'))],
  ['PutRefused', put(s3(400, 'InvalidRequest', 'Content-MD5 is required for Put with Object Lock parameters'))],
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
  ['TableMissing', warehouse({ state: 'failed', reason: 'notFound', message: 'Not found: Table companies' })],
  ['ExtractRefused', warehouse({ state: 'failed', reason: 'invalid', message: 'Cannot export' })],
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
    vendorRole(sts(403, 'SignatureDoesNotMatch', expired)),
    vendorRole(sts(403, 'SignatureDoesNotMatch', early)),
    customerRole(sts(403, 'SignatureDoesNotMatch', expired)),
  ]) {
    expect(skewed).toMatchObject({ type: 'Transient', nonRetryable: false });
    expect(skewed.message).toContain("the worker's clock is wrong");
  }
});

test.each([
  ['a resource-based policy', "the bucket's policy denies it"],
  ['a service control policy', 'a policy of the kind "service control policy" denies it'],
  ['a session policy', 'a policy of the kind "session policy" denies it'],
])('an explicit deny in %s is told from a missing permission', (where, told) => {
  const { type, message } = put(
    s3(403, 'AccessDenied', `${notAuthorised('s3:PutObject')} with an explicit deny in ${where}`),
  );
  expect(type).toBe('BucketAccessDenied');
  expect(message).toContain(told);
  expect(message).not.toContain('permission policy must be');
});

test('a refused put names bucket and key, what S3 said, and the permission policy that is needed', () => {
  const { message } = put(s3(403, 'AccessDenied', 'Access Denied'));
  expect(message).toContain(`[bucket=acme-dreamdata key=${key}]: AccessDenied: Access Denied.`);
  expect(message).toContain('"Action":["s3:PutObject","s3:PutObjectAcl"]');
  expect(message).toContain('must belong to account 111122223333');
});

test('a key that may not be used comes with the policy that is needed, for the key that AWS names', () => {
  const keyArn = 'arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab';
  const { message } = put(s3(403, 'AccessDenied', notAuthorised(`kms:GenerateDataKey on resource: ${keyArn}`)));
  expect(message).toContain(`"Action":["kms:GenerateDataKey","kms:Decrypt"],"Resource":"${keyArn}"`);
  expect(put(s3(400, 'KMS.DisabledException', 'The key is disabled')).message).toContain("THE ARN OF THE BUCKET'S KEY");
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

test('a refused extraction names the table', () => {
  expect(warehouse(google(404, 'notFound')).message).toContain('[table=acme-prod.data_platform.companies]');
});

describe('is retried by Temporal', () => {
  test.each([
    ['a lost connection to S3', put(network('ECONNRESET'))],
    ['an unknown host of STS', customerRole(network('ENOTFOUND'))],
    ['a vendor role that STS does not answer for', vendorRole(network('ETIMEDOUT'))],
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
  const named = failure('VendorRoleNotAssumable', 'No.', 'do something.');
  for (const again of [put, warehouse, staging, customerRole]) expect(again(named)).toBe(named);
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

test.each(['InvalidClientTokenId', 'SignatureDoesNotMatch'])(
  "%s on the worker's own credentials is ours to mend: no retry makes them valid",
  (name) => {
    const refused = Object.assign(new Error('The security token is invalid'), { name });
    expect(vendorRoleFailure(refused, 'arn:aws:iam::485801740390:role/v')).toMatchObject({
      type: 'VendorRoleNotAssumable',
      nonRetryable: true,
    });
  },
);

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
