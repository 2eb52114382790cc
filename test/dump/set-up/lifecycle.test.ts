import { parsePath, parseTableName } from '../../../src/dump/inputs';
import { folderName, receiptKey, schemaKey, shardKey } from '../../../src/dump/keys';
import { lifecycle } from '../../../src/dump/set-up/lifecycle';

const table = parseTableName('companies');
const folder = folderName(new Date('2099-12-31T23:59:00Z'));
const path = parsePath('exports/dreamdata');
const settings = { path };

test('dumps expire and incomplete uploads end, in the shape that S3 takes', () => {
  expect(lifecycle({ expireDays: 7 })).toEqual({
    Rules: [
      { ID: 'dreamdata-expire-dumps', Status: 'Enabled', Filter: { Prefix: '20' }, Expiration: { Days: 7 } },
      {
        ID: 'dreamdata-end-incomplete-uploads',
        Status: 'Enabled',
        Filter: { Prefix: '20' },
        AbortIncompleteMultipartUpload: { DaysAfterInitiation: 1 },
      },
    ],
  });
});

test.each([{}, settings])('the rules hold for what a dump stores under %j, and not for the receipt', (place) => {
  for (const { Filter } of lifecycle({ ...place, expireDays: 7 }).Rules) {
    expect(shardKey({ ...place }, folder, table, 0).startsWith(Filter.Prefix)).toBe(true);
    expect(schemaKey({ ...place }, folder, table).startsWith(Filter.Prefix)).toBe(true);
    expect(receiptKey({ ...place }).startsWith(Filter.Prefix)).toBe(false);
  }
});

test('a path that is a year does not draw the receipt in', () => {
  const year = { path: parsePath('2023') };
  const [rule] = lifecycle({ ...year, expireDays: 7 }).Rules;
  expect(receiptKey(year).startsWith(rule?.Filter.Prefix ?? '')).toBe(false);
});
