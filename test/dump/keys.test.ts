import type { AccountId, TableName } from '../../src/contract';
import { parseAccountId, parsePath, parseTableName } from '../../src/dump/inputs';
import {
  accountIdLengthMax,
  dumpStagingPrefix,
  endOfMinuteMs,
  extractJobId,
  extractStagingPrefix,
  extractUri,
  folderName,
  receiptKey,
  roleSessionName,
  schemaKey,
  shardKey,
  shardRanges,
} from '../../src/dump/keys';

const account = parseAccountId('acc_7Hq2');
const folder = folderName(new Date('2023-01-02T15:04:59.999Z'));
const companies = parseTableName('companies');

test('a dump is laid out in the bucket as the guide for customers says', () => {
  expect(folder).toBe('2023-01-02T15:04');
  expect(receiptKey({})).toBe('receipt.json');
  expect(shardKey({}, folder, companies, 1)).toBe('2023-01-02T15:04/companies/companies_000000000001.ndjson.gz');
  expect(schemaKey({}, folder, companies)).toBe('2023-01-02T15:04/schemas/bigquery/companies.json');
});

test('everything is written under the path, the receipt too', () => {
  const settings = { path: parsePath('exports/dreamdata') };
  expect(receiptKey(settings)).toBe('exports/dreamdata/receipt.json');
  expect(shardKey(settings, folder, companies, 0)).toBe(
    'exports/dreamdata/2023-01-02T15:04/companies/companies_000000000000.ndjson.gz',
  );
  expect(schemaKey(settings, folder, companies)).toBe(
    'exports/dreamdata/2023-01-02T15:04/schemas/bigquery/companies.json',
  );
});

test('the minute of a folder is over when the next folder name begins', () => {
  const end = endOfMinuteMs(folder);
  expect(folderName(new Date(end - 1))).toBe(folder);
  expect(folderName(new Date(end))).toBe('2023-01-02T15:05');
});

test('the longest path with the longest table name still gives keys that S3 takes', () => {
  const path = longestThat(parsePath, 'p');
  const table = longestThat(parseTableName, 'ä');
  const keys = [shardKey({ path }, folder, table, 999_999_999_999), schemaKey({ path }, folder, table)];
  for (const key of keys) expect(Buffer.byteLength(key)).toBeLessThanOrEqual(1024);
});

test('staging of one dump, table or extraction is never under the prefix of another', () => {
  const prefixes = [
    extractStagingPrefix(account, folder, companies, 1),
    extractStagingPrefix(account, folder, companies, 11),
    extractStagingPrefix(account, folder, parseTableName('companies_2'), 1),
    dumpStagingPrefix(parseAccountId('acc_7Hq'), folder),
    dumpStagingPrefix(account, folderName(new Date('2023-01-02T15:40:00Z'))),
  ];
  for (const prefix of prefixes) {
    expect(prefixes.filter((other) => other.startsWith(prefix))).toEqual([prefix]);
  }
});

test('an extraction writes where its shards are looked for', () => {
  expect(extractUri('acme-staging-eu', extractStagingPrefix(account, folder, companies, 2), companies)).toBe(
    'gs://acme-staging-eu/acc_7Hq2/2023-01-02T15:04/companies/2/companies_*.ndjson.gz',
  );
});

test('extract jobs of different accounts, dumps, tables and attempts have different ids, all of which BigQuery takes', () => {
  const tables = ['a-b', 'a_b', 'a b', 'ä', 'a', 'a_1', 'a-2d-b', 'a–b', '会社'].map(parseTableName);
  const accounts = ['acc_7Hq2', 'acc-7Hq2', 'acc_7Hq2_a'].map(parseAccountId);
  const folders = [folder, folderName(new Date('2023-01-02T15:05:00Z'))];
  const ids = accounts.flatMap((accountId) =>
    folders.flatMap((dumpFolder) =>
      tables.flatMap((table) => [1, 11].map((number) => extractJobId(accountId, dumpFolder, table, number))),
    ),
  );
  expect(new Set(ids).size).toBe(accounts.length * folders.length * tables.length * 2);
  for (const id of ids) expect(id).toMatch(/^[A-Za-z0-9_-]{1,1024}$/);
  expect(extractJobId(account, folder, companies, 1)).toBe(extractJobId(account, folder, companies, 1));
});

test.each(['a', 'ä', '会', '𠮷'])(
  'BigQuery takes the extract job id of the longest table name made of %s',
  (letter) => {
    const id = extractJobId(longestAccount(), folder, longestThat(parseTableName, letter), 1);
    expect(id.length).toBeLessThanOrEqual(1024);
  },
);

test('STS takes the session name of the longest account id, and it names the dump', () => {
  for (const name of [roleSessionName(longestAccount(), folder), roleSessionName(longestAccount())]) {
    expect(name).toMatch(/^[\w+=,.@-]{2,64}$/);
  }
  expect(roleSessionName(account, folder)).toBe('acc_7Hq2@2023-01-02T15.04');
});

test.each([0, 1, 8, 9, 20, 129, 10_000, 100_000])(
  'the ranges of %d shards cover every shard once, in order',
  (count) => {
    const covered = shardRanges(count).flatMap((range) =>
      Array.from({ length: range.count }, (_, i) => range.first + i),
    );
    expect(covered).toEqual(Array.from({ length: count }, (_, shard) => shard));
  },
);

test('a big table has enough ranges to share among workers and few enough for a history', () => {
  expect(shardRanges(100).length).toBeGreaterThanOrEqual(8);
  expect(shardRanges(10_000).length).toBeLessThanOrEqual(50);
});

function longestAccount(): AccountId {
  return parseAccountId('A'.repeat(accountIdLengthMax));
}

/** The longest name of one repeated letter that is taken as input. */
function longestThat<T extends TableName | ReturnType<typeof parsePath>>(
  parse: (text: string) => T,
  letter: string,
): T {
  let longest = parse(letter);
  for (let length = 2; ; length++) {
    try {
      longest = parse(letter.repeat(length));
    } catch {
      return longest;
    }
  }
}

test.each(['a', 'ä', '-', ' ', '会'])('the longest table name of %j makes a legal job id', (character) => {
  const repeated = Math.floor(200 / Buffer.byteLength(character));
  const table = parseTableName(character.repeat(repeated));
  expect(extractJobId(longestAccount(), folder, table, 999)).toMatch(/^[\w-]{1,1024}$/);
});
