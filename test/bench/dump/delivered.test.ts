import { faultsOfReceipt } from '../../../bench/dump/delivered';
import type { Receipt } from '../../../src/dump/receipt';

const folder = '2023-01-02T15:04';
const receipt: Receipt = {
  timestamp: `${folder}:00.000000Z`,
  tables: {
    companies: {
      folder: `${folder}/companies`,
      total_file_count: 2,
      schemas: { bigquery: `${folder}/schemas/bigquery/companies.json` },
    },
  },
};
const keys = [
  `${folder}/companies/companies_000000000000.ndjson.gz`,
  `${folder}/companies/companies_000000000001.ndjson.gz`,
  `${folder}/schemas/bigquery/companies.json`,
];

test('a receipt is true when all that it speaks of is there, and no file more', () => {
  expect(faultsOfReceipt(receipt, keys)).toEqual([]);
  expect(faultsOfReceipt(receipt, [...keys, '2023-01-02T15:03/companies/companies_000000000002.ndjson.gz'])).toEqual(
    [],
  );
});

test('a file that is missing or too many, and a schema that is missing, are named', () => {
  expect(faultsOfReceipt(receipt, keys.slice(1))).toEqual([
    `companies: the receipt says 2 files, and there are 1 in ${folder}/companies.`,
  ]);
  expect(faultsOfReceipt(receipt, [...keys, `${folder}/companies/one-more`])).toHaveLength(1);
  expect(faultsOfReceipt(receipt, keys.slice(0, 2))).toEqual([
    `companies: ${folder}/schemas/bigquery/companies.json is not there.`,
  ]);
});

test('a receipt of no table is none', () => {
  expect(faultsOfReceipt({ ...receipt, tables: {} }, keys)).toEqual(['The receipt names no table.']);
});
