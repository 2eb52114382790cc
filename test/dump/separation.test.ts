/** Nothing that one customer gives, or is called, reaches what is another's. */
import * as fc from 'fast-check';
import {
  destinationWorkflowId,
  dumpWorkflowId,
  identityOfDump,
  identityOfWorkflow,
  type AccountId,
  type FolderName,
  type TableName,
} from '../../src/contract';
import { InvalidInput, parseAccountId, parseDestination, parseTableName } from '../../src/dump/inputs';
import {
  accountIdLengthMax,
  dumpStagingPrefix,
  extractJobId,
  extractStagingPrefix,
  extractUri,
  folderName,
  receiptKey,
  roleSessionName,
  schemaKey,
  shardKey,
  shardName,
  stagedSchemaName,
} from '../../src/dump/keys';
import { sessionPolicy, trustPolicy } from '../../src/dump/policies';

/** Characters that mean something to somebody: S3, IAM, BigQuery, Temporal's ids, our own names. */
const hostile = [
  '/',
  '.',
  '..',
  '*',
  '?',
  '$',
  '${aws:username}',
  '@',
  '-',
  '_',
  ':',
  '\\',
  '%2F',
  '\n',
  '\0',
  '"',
  ' ',
];
const text = fc
  .array(
    fc.oneof(fc.constantFrom(...hostile, 'a', 'b', '2023-01-02T15:04', 'schemas', 'receipt.json', 'acc'), fc.string()),
    {
      maxLength: 8,
    },
  )
  .map((parts) => parts.join(''));

const characters = (of: string): string[] => of.split('');

/** Values of which a parser takes whatever it takes; of the rest it must say no as `InvalidInput`. */
const taken = <T>(values: fc.Arbitrary<string>, parse: (value: string) => T): fc.Arbitrary<T> =>
  values
    .map((value) => {
      try {
        return { parsed: parse(value) };
      } catch (error) {
        if (error instanceof InvalidInput) return undefined;
        throw error;
      }
    })
    .filter((result): result is { parsed: T } => result !== undefined)
    .map(({ parsed }) => parsed);

const accounts: fc.Arbitrary<AccountId> = taken(
  fc.oneof(
    text,
    fc.string({ unit: fc.constantFrom(...characters('aAbB019_-')), minLength: 2, maxLength: accountIdLengthMax }),
    // What could be taken for an account with more of a name behind it.
    fc.constantFrom(
      'acc',
      'acc_',
      'acc_2023-01-02T15',
      'acc-2023',
      'acc_2023--01--02T15-3a-04_companies_1',
      'destination',
      'dump',
    ),
  ),
  parseAccountId,
);
const folders: fc.Arbitrary<FolderName> = fc
  .date({ min: new Date('2023-01-01T00:00Z'), max: new Date('2023-01-03T00:00Z'), noInvalidDate: true })
  .map(folderName);
const tables: fc.Arbitrary<TableName> = taken(
  fc.oneof(text, fc.string({ unit: fc.constantFrom(...characters('ab1_- ä')), minLength: 1, maxLength: 12 })),
  parseTableName,
);
const roleArn = 'arn:aws:iam::111122223333:role/dreamdata-data-platform';
const places = taken(
  fc
    .record({
      bucket: fc.oneof(fc.constantFrom('acme', 'acme.data', 'acme-data', 'acme-data-2'), text),
      path: fc.oneof(
        fc.constantFrom('', 'a', 'ab', 'a/b', 'a b', 'exports', 'exports/a', 'exports2', 'receipt.json', '...'),
        fc.string({ unit: fc.constantFrom(...characters('ab/. -')), maxLength: 6 }),
        text,
      ),
    })
    .map((place) => JSON.stringify(place)),
  (json) => parseDestination({ roleArn, ...(JSON.parse(json) as object) }),
);
const numbers = fc.integer({ min: 0, max: 20_000 });

describe('in the customer’s bucket', () => {
  test('every key is under the path, below nothing else, and S3 takes it as it is', () => {
    fc.assert(
      fc.property(places, folders, tables, numbers, (settings, folder, table, shard) => {
        const keys = [
          receiptKey(settings),
          shardKey(settings, folder, table, shard),
          schemaKey(settings, folder, table),
        ];
        for (const key of keys) {
          expect(key.startsWith(settings.path === undefined ? '' : `${settings.path}/`)).toBe(true);
          expect(key.split('/').every((part) => !['', '.', '..'].includes(part))).toBe(true);
          expect(Buffer.byteLength(key)).toBeLessThanOrEqual(1024);
        }
        expect(new Set(keys).size).toBe(3);
      }),
    );
  });

  test('no two of a dump’s tables, shards and schemas share a key', () => {
    fc.assert(
      fc.property(places, folders, tables, tables, numbers, numbers, (settings, folder, one, other, first, second) => {
        fc.pre(one !== other);
        expect(shardKey(settings, folder, one, first)).not.toBe(shardKey(settings, folder, other, second));
        expect(schemaKey(settings, folder, one)).not.toBe(schemaKey(settings, folder, other));
        expect(shardKey(settings, folder, one, first)).not.toBe(schemaKey(settings, folder, other));
      }),
    );
  });

  test('a session may put what is under its own path of its own bucket, and nothing else', () => {
    fc.assert(
      fc.property(places, places, folders, tables, (mine, theirs, folder, table) => {
        const [puts, keys] = sessionPolicy(mine).Statement;
        expect(puts).toEqual({
          Effect: 'Allow',
          Action: ['s3:PutObject', 's3:PutObjectAcl'],
          Resource: `arn:aws:s3:::${mine.bucket}/${mine.path === undefined ? '' : `${mine.path}/`}*`,
        });
        expect(keys?.Action).toEqual(['kms:GenerateDataKey', 'kms:Decrypt']);
        expect(sessionPolicy(mine).Statement).toHaveLength(2);
        expect(JSON.stringify(sessionPolicy(mine)).length).toBeLessThanOrEqual(2048);
        for (const place of [mine, theirs]) {
          for (const key of [receiptKey(place), shardKey(place, folder, table, 0), schemaKey(place, folder, table)]) {
            const within =
              place.bucket === mine.bucket && key.startsWith(mine.path === undefined ? '' : `${mine.path}/`);
            expect(iamMatches(String(puts?.Resource), `arn:aws:s3:::${place.bucket}/${key}`)).toBe(within);
          }
        }
      }),
      { numRuns: 500 },
    );
  });
});

/** IAM user guide, "Wildcards in resource ARNs" and "Policy variables". */
function iamMatches(pattern: string, arn: string): boolean {
  expect(pattern).not.toContain('${');
  const escaped = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${escaped}$`, 's').test(arn);
}

describe('in the staging buckets', () => {
  test('no prefix of one customer’s is in another’s, whatever the accounts, dumps and tables are called', () => {
    fc.assert(
      fc.property(accounts, accounts, folders, folders, tables, tables, (mine, theirs, one, other, table, another) => {
        fc.pre(mine !== theirs);
        const staged = (account: AccountId, folder: FolderName, of: TableName): string[] => {
          const prefix = extractStagingPrefix(account, folder, of, 1);
          return [prefix, stagedSchemaName(prefix), `${prefix}${shardName(of, 0)}`];
        };
        for (const name of staged(mine, one, table)) {
          expect(name.startsWith(dumpStagingPrefix(mine, one))).toBe(true);
          expect(name.startsWith(dumpStagingPrefix(theirs, other))).toBe(false);
          for (const stranger of staged(theirs, other, another)) expect(name.startsWith(stranger)).toBe(false);
        }
      }),
    );
  });

  test('BigQuery is given one wildcard, behind the dump’s own prefix', () => {
    fc.assert(
      fc.property(accounts, folders, tables, (account, folder, table) => {
        const uri = extractUri('staging', extractStagingPrefix(account, folder, table, 1), table);
        expect(uri.startsWith(`gs://staging/${account}/${folder}/`)).toBe(true);
        expect(uri.split('*')).toHaveLength(2);
        expect(uri.split('/')).toHaveLength(8);
      }),
    );
  });

  test('extract jobs have the same id only if account, dump, table and number are the same', () => {
    const jobs = fc.tuple(accounts, folders, tables, fc.integer({ min: 1, max: 20 }));
    fc.assert(
      fc.property(jobs, jobs, (one, other) => {
        const [first, second] = [extractJobId(...one), extractJobId(...other)];
        expect(first === second).toBe(one.join('\n') === other.join('\n'));
        expect(first).toMatch(/^[\w-]{1,1024}$/);
      }),
      { numRuns: 500 },
    );
  });
});

function identityIfTaken(workflowId: string): ReturnType<typeof identityOfWorkflow> | undefined {
  try {
    return identityOfWorkflow(workflowId);
  } catch (error) {
    if (String(error).includes('is not of the form')) return undefined;
    throw error;
  }
}

/** The id that we give to whoever has this identity. */
function idOf({ accountId, folder }: ReturnType<typeof identityOfWorkflow>): string | undefined {
  if (folder === undefined) return destinationWorkflowId(parseAccountId(accountId));
  const isFolder = /^\d{4}-\d\d-\d\dT\d\d:\d\d$/.test(folder);
  return isFolder ? dumpWorkflowId(parseAccountId(accountId), folder) : undefined;
}

describe('a session', () => {
  test('has a name that STS takes, and that tells account and dump', () => {
    fc.assert(
      fc.property(accounts, folders, (account, folder) => {
        expect(roleSessionName(account)).toMatch(/^[\w+=,.@-]{2,64}$/);
        expect(roleSessionName(account, folder)).toMatch(/^[\w+=,.@-]{2,64}$/);
        expect(roleSessionName(account, folder).split('@')).toEqual([account, folder.replace(':', '.')]);
        expect(roleSessionName(account).split('@')).toEqual([account, 'connect']);
      }),
    );
  });

  test('is for the account that the workflow id names, which is the external id of the trust policy that we print', () => {
    fc.assert(
      fc.property(accounts, folders, (account, folder) => {
        expect(identityOfWorkflow(destinationWorkflowId(account))).toEqual({ accountId: account });
        expect(identityOfDump(dumpWorkflowId(account, folder))).toEqual({ accountId: account, folder });
        expect(trustPolicy(account).Statement[0]?.Condition).toEqual({ StringEquals: { 'sts:ExternalId': account } });
      }),
    );
  });

  test('is asked for by no workflow whose id is not one that we give', () => {
    const ids = fc.oneof(
      text,
      fc.tuple(fc.constantFrom('destination/', 'dump/', 'notice/', ''), text).map((parts) => parts.join('')),
      fc.tuple(fc.constant('dump/'), accounts, fc.constant('/'), text).map((parts) => parts.join('')),
      fc.tuple(fc.constant('dump/'), text, fc.constant('/2023-01-02T15:04')).map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(ids, (id) => {
        const identity = identityIfTaken(id);
        expect(identity === undefined || idOf(identity) === id).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });

  test.each([
    'dump/../2023-01-02T15:04',
    'destination/*',
    'destination/a b',
    'destination/..',
    'dump/acc/..',
    'dump/acc/*',
  ])('is not asked for by %s', (id) => {
    expect(() => identityOfWorkflow(id)).toThrow('is not of the form');
  });
});
