import { parseAccountId, parseBucketName, parsePath } from '../../src/dump/inputs';
import { kmsPolicy, permissionPolicy, sessionPolicy, trustPolicy } from '../../src/dump/policies';

const bucket = parseBucketName('acme-dreamdata');

/** Word for word those of the vendor's guide for customers, with its placeholders filled in. */
describe('the policies that customers are shown are those of the guide', () => {
  test('trust', () => {
    expect(trustPolicy(parseAccountId('acc_7Hq2'))).toEqual({
      Version: '2012-10-17',
      Statement: [
        {
          Sid: 'DreamdataStsPolicy',
          Effect: 'Allow',
          Principal: { AWS: 'arn:aws:iam::485801740390:role/dreamdata_destination_s3' },
          Action: 'sts:AssumeRole',
          Condition: { StringEquals: { 'sts:ExternalId': 'acc_7Hq2' } },
        },
      ],
    });
  });

  test('permission', () => {
    expect(permissionPolicy(bucket)).toEqual({
      Version: '2012-10-17',
      Statement: [
        {
          Sid: 'DreamdataDataPlatform',
          Effect: 'Allow',
          Action: ['s3:PutObject', 's3:PutObjectAcl'],
          Resource: ['arn:aws:s3:::acme-dreamdata/*', 'arn:aws:s3:::acme-dreamdata'],
        },
      ],
    });
  });

  test('key', () => {
    expect(kmsPolicy('arn:aws:kms:eu-west-1:111122223333:key/1234abcd')).toEqual({
      Version: '2012-10-17',
      Statement: [
        {
          Sid: 'KMSEncryption',
          Effect: 'Allow',
          Action: ['kms:GenerateDataKey', 'kms:Decrypt'],
          Resource: 'arn:aws:kms:eu-west-1:111122223333:key/1234abcd',
        },
      ],
    });
  });
});

test('the trust policy names the vendor role of the settings where there is another', () => {
  const vendorRole = 'arn:aws:iam::999988887777:role/staging';
  expect(trustPolicy(parseAccountId('acc_7Hq2'), vendorRole).Statement[0]?.Principal).toEqual({ AWS: vendorRole });
});

test('a session may put objects under its path and use keys, nothing else', () => {
  expect(sessionPolicy({ bucket, path: parsePath('exports/dreamdata') })).toEqual({
    Version: '2012-10-17',
    Statement: [
      {
        Effect: 'Allow',
        Action: ['s3:PutObject', 's3:PutObjectAcl'],
        Resource: 'arn:aws:s3:::acme-dreamdata/exports/dreamdata/*',
      },
      { Effect: 'Allow', Action: ['kms:GenerateDataKey', 'kms:Decrypt'], Resource: '*' },
    ],
  });
});

test('without a path a session may put objects into its own bucket only', () => {
  expect(sessionPolicy({ bucket }).Statement[0]?.Resource).toBe('arn:aws:s3:::acme-dreamdata/*');
});

test('the session policy of the longest bucket name and path fits what STS takes', () => {
  const longest = { bucket: parseBucketName('b'.repeat(63)), path: parsePath('&'.repeat(200)) };
  expect(() => parsePath('&'.repeat(201))).toThrow('is longer than 200 characters');
  expect(JSON.stringify(sessionPolicy(longest)).length).toBeLessThanOrEqual(2048);
});
