import { createUploadSchema } from '../../src/activities/upload-schema';
import { parseTableName } from '../../src/dump/inputs';
import { dumpEnvironment, exampleSettings, FakeCustomerBuckets, FakeStagingBuckets } from '../fakes';

const stagingBucket = 'acme-staging-eu';
const stagingPrefix = 'acc_7Hq2/2023-01-02T15:04/companies/2/';
const input = {
  settings: exampleSettings,
  table: parseTableName('companies'),
  staged: { stagingBucket, stagingPrefix, shardCount: 1, sizeBytes: 1 },
};

test('the schema that was staged with the rows is uploaded as it is, as JSON', async () => {
  const staging = new FakeStagingBuckets(stagingBucket);
  const content = '[\n  { "name": "id", "type": "STRING" }\n]\n';
  staging.add(stagingBucket, `${stagingPrefix}schema.json`, content);
  const customerBuckets = new FakeCustomerBuckets();
  await dumpEnvironment().run(createUploadSchema({ staging, customerBuckets }), input);
  expect([...customerBuckets.objects]).toEqual([
    [
      'exports/dreamdata/2023-01-02T15:04/schemas/bigquery/companies.json',
      { contentType: 'application/json', content },
    ],
  ]);
});

test('a schema that is no longer staged ends the dump: it cannot be made again', async () => {
  const customerBuckets = new FakeCustomerBuckets();
  const uploadSchema = createUploadSchema({ staging: new FakeStagingBuckets(stagingBucket), customerBuckets });
  await expect(dumpEnvironment().run(uploadSchema, input)).rejects.toMatchObject({ type: 'StagingFilesGone' });
  expect(customerBuckets.objects.size).toBe(0);
});
