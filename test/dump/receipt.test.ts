import { parseDestination, parseTableName } from '../../src/dump/inputs';
import { folderName } from '../../src/dump/keys';
import { receiptOf } from '../../src/dump/receipt';

const roleArn = 'arn:aws:iam::111122223333:role/dreamdata-data-platform';
const startedAt = new Date('2023-03-14T04:03:07.963Z');
const folder = folderName(startedAt);
const delivered = [
  { table: parseTableName('companies'), shardCount: 58 },
  { table: parseTableName('paid_ads'), shardCount: 0 },
];

test('a receipt has exactly the fields of the contract', () => {
  const receipt = receiptOf(parseDestination({ roleArn, bucket: 'acme' }), folder, startedAt, delivered);
  expect(JSON.parse(JSON.stringify(receipt))).toEqual({
    timestamp: '2023-03-14T04:03:07.963000Z',
    tables: {
      companies: {
        folder: '2023-03-14T04:03/companies',
        total_file_count: 58,
        schemas: { bigquery: '2023-03-14T04:03/schemas/bigquery/companies.json' },
      },
      paid_ads: {
        folder: '2023-03-14T04:03/paid_ads',
        total_file_count: 0,
        schemas: { bigquery: '2023-03-14T04:03/schemas/bigquery/paid_ads.json' },
      },
    },
  });
});

test('with a path, folders and schemas are full keys that begin with it', () => {
  const settings = parseDestination({ roleArn, bucket: 'acme', path: 'exports/dreamdata' });
  expect(receiptOf(settings, folder, startedAt, delivered).tables['companies']).toEqual({
    folder: 'exports/dreamdata/2023-03-14T04:03/companies',
    total_file_count: 58,
    schemas: { bigquery: 'exports/dreamdata/2023-03-14T04:03/schemas/bigquery/companies.json' },
  });
});

test('the timestamp is of the minute that the folder is named by, with six fractional digits on the second too', () => {
  const { timestamp } = receiptOf(
    parseDestination({ roleArn, bucket: 'acme' }),
    folder,
    new Date('2023-03-14T04:03:00Z'),
    delivered,
  );
  expect(timestamp).toBe('2023-03-14T04:03:00.000000Z');
});
