import { readWorkerConfig } from '../src/config';
import { InvalidInput } from '../src/dump/inputs';

const staging = { STAGING_BUCKETS: 'EU=acme-staging-eu' };

test('only the staging buckets must be set; the rest has defaults', () => {
  expect(readWorkerConfig(staging)).toEqual({
    vendorRoleArn: 'arn:aws:iam::485801740390:role/dreamdata_destination_s3',
    awsRegion: 'us-east-1',
    s3ForcePathStyle: false,
    googleProject: undefined,
    googleEndpoints: { bigquery: undefined, storage: undefined },
    stagingBucketByLocation: new Map([['EU', 'acme-staging-eu']]),
    copyActivities: 4,
    shardsInFlight: 4,
    deploymentVersion: undefined,
    production: false,
  });
});

test('every setting is read from the environment', () => {
  const config = readWorkerConfig({
    VENDOR_ROLE_ARN: 'arn:aws:iam::999988887777:role/vendor',
    AWS_REGION: 'eu-west-1',
    S3_FORCE_PATH_STYLE: 'true',
    GOOGLE_CLOUD_PROJECT: 'acme-prod',
    BIGQUERY_ENDPOINT: 'http://localhost:9050',
    STORAGE_ENDPOINT: 'http://localhost:4443',
    STAGING_BUCKETS: 'eu=acme-staging-eu, europe-west1 = acme-staging-belgium',
    COPY_ACTIVITIES: '16',
    COPY_SHARDS_IN_FLIGHT: '8',
    TEMPORAL_DEPLOYMENT_NAME: 'vendor/s3-destination',
    TEMPORAL_WORKER_BUILD_ID: '2026-11-24.1',
    NODE_ENV: 'production',
  });
  expect(config).toEqual({
    vendorRoleArn: 'arn:aws:iam::999988887777:role/vendor',
    awsRegion: 'eu-west-1',
    s3ForcePathStyle: true,
    googleProject: 'acme-prod',
    googleEndpoints: { bigquery: 'http://localhost:9050', storage: 'http://localhost:4443' },
    // By the upper-case names that BigQuery's locations are compared by.
    stagingBucketByLocation: new Map([
      ['EU', 'acme-staging-eu'],
      ['EUROPE-WEST1', 'acme-staging-belgium'],
    ]),
    copyActivities: 16,
    shardsInFlight: 8,
    deploymentVersion: { deploymentName: 'vendor/s3-destination', buildId: '2026-11-24.1' },
    production: true,
  });
});

test('a build id alone makes a version of the deployment s3-destination', () => {
  const { deploymentVersion } = readWorkerConfig({ ...staging, TEMPORAL_WORKER_BUILD_ID: '42' });
  expect(deploymentVersion).toEqual({ deploymentName: 's3-destination', buildId: '42' });
});

test('an empty variable is as good as none', () => {
  const empty = {
    AWS_REGION: '',
    VENDOR_ROLE_ARN: '',
    GOOGLE_CLOUD_PROJECT: '',
    STORAGE_ENDPOINT: '',
    COPY_ACTIVITIES: '',
  };
  expect(readWorkerConfig({ ...staging, ...empty })).toEqual(readWorkerConfig(staging));
});

test.each([{}, { STAGING_BUCKETS: '' }])('missing staging buckets are named: %j', (env) => {
  expect(() => readWorkerConfig(env)).toThrow(
    new InvalidInput('The setting STAGING_BUCKETS is missing from the environment.'),
  );
});

test.each([
  ['VENDOR_ROLE_ARN', 'dreamdata_destination_s3'],
  ['S3_FORCE_PATH_STYLE', 'yes'],
  ['STAGING_BUCKETS', 'acme-staging-eu'],
  ['STAGING_BUCKETS', 'EU=acme-staging-eu,'],
  ['STAGING_BUCKETS', 'EU=gs://acme-staging-eu'],
  ['COPY_ACTIVITIES', '0'],
  ['COPY_SHARDS_IN_FLIGHT', '1.5'],
  ['COPY_SHARDS_IN_FLIGHT', 'many'],
  ['TEMPORAL_WORKER_BUILD_ID', 'two words'],
])('a malformed %s (%s) is named', (name, value) => {
  expect(() => readWorkerConfig({ ...staging, [name]: value })).toThrow(`The setting ${name} cannot be used: `);
});

test('staging buckets may be named as Cloud Storage lets them be', () => {
  const { stagingBucketByLocation } = readWorkerConfig({ STAGING_BUCKETS: 'eu=acme_staging.eu' });
  expect(stagingBucketByLocation.get('EU')).toBe('acme_staging.eu');
});

test.each(['EU=acme-a=acme-b', 'EU=acme-a,eu=acme-b'])(
  'staging buckets that say two things are refused: %s',
  (given) => {
    expect(() => readWorkerConfig({ STAGING_BUCKETS: given })).toThrow(InvalidInput);
  },
);
