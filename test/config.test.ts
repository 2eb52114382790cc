import { copyingShare, readWorkerConfig } from '../src/config';
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
    copyActivities: 8,
    shardsInFlight: 32,
    copyBandwidthMBPerSecond: undefined,
    copyMemoryMB: undefined,
    accessCheckAt: { hour: 4, minute: 0 },
    notices: undefined,
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
    COPY_BANDWIDTH_MB_PER_SECOND: '0.5',
    COPY_MEMORY_MB: '64',
    ACCESS_CHECK_AT: '23:05',
    NOTICE_URL: 'https://receiver.example/hook?key=1',
    NOTICE_SECRET: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
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
    copyBandwidthMBPerSecond: 0.5,
    copyMemoryMB: 64,
    accessCheckAt: { hour: 23, minute: 5 },
    notices: {
      url: new URL('https://receiver.example/hook?key=1'),
      secret: Buffer.from('MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', 'base64'),
    },
    deploymentVersion: { deploymentName: 'vendor/s3-destination', buildId: '2026-11-24.1' },
    production: true,
  });
});

test('a build id alone makes a version of the deployment s3-destination', () => {
  const { deploymentVersion } = readWorkerConfig({ ...staging, TEMPORAL_WORKER_BUILD_ID: '42' });
  expect(deploymentVersion).toEqual({ deploymentName: 's3-destination', buildId: '42' });
});

test('access is checked by request only where the time is off', () => {
  expect(readWorkerConfig({ ...staging, ACCESS_CHECK_AT: 'off' }).accessCheckAt).toBeUndefined();
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
  ['COPY_BANDWIDTH_MB_PER_SECOND', '0'],
  ['COPY_BANDWIDTH_MB_PER_SECOND', '1e3'],
  ['COPY_MEMORY_MB', '-1'],
  ['ACCESS_CHECK_AT', '24:00'],
  ['ACCESS_CHECK_AT', '4:00'],
  ['ACCESS_CHECK_AT', 'never'],
  ['TEMPORAL_WORKER_BUILD_ID', 'two words'],
])('a malformed %s (%s) is named', (name, value) => {
  expect(() => readWorkerConfig({ ...staging, [name]: value })).toThrow(`The setting ${name} cannot be used: `);
});

const url = 'https://receiver.example/hook';
const whsec = (bytes: number): string => `whsec_${Buffer.alloc(bytes, 7).toString('base64')}`;

test.each([
  ['NOTICE_SECRET', { NOTICE_URL: url }],
  ['NOTICE_URL', { NOTICE_SECRET: whsec(24) }],
])('half of the settings of notices is a mistake: %s is named', (name, env) => {
  expect(() => readWorkerConfig({ ...staging, ...env })).toThrow(
    new InvalidInput(`The setting ${name} is missing from the environment.`),
  );
});

test.each([24, 25, 32, 64])('a secret of %i bytes signs notices', (bytes) => {
  const { notices } = readWorkerConfig({ ...staging, NOTICE_URL: url, NOTICE_SECRET: whsec(bytes) });
  expect(notices?.secret).toEqual(Buffer.alloc(bytes, 7));
});

test.each([whsec(23), whsec(65), whsec(24).slice('whsec_'.length), 'whsec_', 'whsec_s3cret-s3cret-s3cret-s3cret'])(
  'a malformed secret is named, not shown: %s',
  (secret) => {
    expect(() => readWorkerConfig({ ...staging, NOTICE_URL: url, NOTICE_SECRET: secret })).toThrow(
      new InvalidInput(
        'The setting NOTICE_SECRET cannot be used: it is not whsec_ followed by 24 to 64 bytes in base64.',
      ),
    );
  },
);

test.each(['receiver.example/s3cret', 'ftp://receiver.example/s3cret', 'https://user:s3cret@receiver.example'])(
  'a URL that notices cannot go to is named, not shown: %s',
  (given) => {
    const read = () => readWorkerConfig({ ...staging, NOTICE_URL: given, NOTICE_SECRET: whsec(24) });
    expect(read).toThrow('The setting NOTICE_URL cannot be used: it ');
    expect(read).not.toThrow(/s3cret/);
  },
);

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

test('copying processes share what is set for their worker, and nothing where nothing is set', () => {
  const set = { ...staging, COPY_BANDWIDTH_MB_PER_SECOND: '10', COPY_MEMORY_MB: '64' };
  expect(readWorkerConfig({ ...set, ...copyingShare(4, set) })).toMatchObject({
    copyBandwidthMBPerSecond: 2.5,
    copyMemoryMB: 16,
  });
  expect(copyingShare(4, staging)).toEqual({});
});
