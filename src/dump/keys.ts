import type { AccountId, BucketPath, DestinationSettings, FolderName, ShardRange, TableName } from '../contract';

/** The name of the folder of a dump that starts at `start`: UTC, to the minute. */
export const folderName = (start: Date): FolderName =>
  start.toISOString().slice(0, 'yyyy-mm-ddThh:mm'.length) as FolderName;

/** When the minute of `folder` is over, in epoch milliseconds. */
export const endOfMinuteMs = (folder: FolderName): number => Date.parse(`${folder}:00Z`) + 60_000;

const within = (path: BucketPath | undefined, key: string): string => (path === undefined ? key : `${path}/${key}`);

export const receiptKey = ({ path }: Pick<DestinationSettings, 'path'>): string => within(path, 'receipt.json');

/** The one object beside receipts and folders: the check of access puts it, again and again. */
export const accessCheckKey = ({ path }: Pick<DestinationSettings, 'path'>): string =>
  within(path, 'connection-check.json');

export const tableFolder = (
  { path }: Pick<DestinationSettings, 'path'>,
  folder: FolderName,
  table: TableName,
): string => within(path, `${folder}/${table}`);

export const schemaKey = ({ path }: Pick<DestinationSettings, 'path'>, folder: FolderName, table: TableName): string =>
  within(path, `${folder}/schemas/bigquery/${table}.json`);

/** BigQuery numbers an extract's files from zero with twelve digits; the customer's shards keep those names. */
export const shardName = (table: TableName, shard: number): string =>
  `${table}_${String(shard).padStart(12, '0')}.ndjson.gz`;

export const shardKey = (
  settings: Pick<DestinationSettings, 'path'>,
  folder: FolderName,
  table: TableName,
  shard: number,
): string => `${tableFolder(settings, folder, table)}/${shardName(table, shard)}`;

/** Everything that a dump stages, and nothing else, is under this prefix of a staging bucket. */
export const dumpStagingPrefix = (accountId: AccountId, folder: FolderName): string => `${accountId}/${folder}/`;

/**
 * Each extract job has a prefix of its own: files of a job that failed half-way, or of one that was given up on but still
 * runs, can never be taken for another's.
 */
export const extractStagingPrefix = (
  accountId: AccountId,
  folder: FolderName,
  table: TableName,
  extraction: number,
): string => `${dumpStagingPrefix(accountId, folder)}${table}/${extraction}/`;

export const stagedSchemaName = (stagingPrefix: string): string => `${stagingPrefix}schema.json`;

/** The wildcard that BigQuery replaces by a shard's number. */
export const extractUri = (stagingBucket: string, stagingPrefix: string, table: TableName): string =>
  `gs://${stagingBucket}/${stagingPrefix}${table}_*.ndjson.gz`;

/**
 * The id of an extract job. The same dump, table and number give the same id, so that a second insert finds the first.
 * BigQuery takes letters, digits, `_` and `-`, up to 1,024 of them (jobs.insert): `-` is doubled and every other
 * character written as its code point between `-` signs, which keeps different tables' ids different.
 */
export function extractJobId(accountId: AccountId, folder: FolderName, table: TableName, extraction: number): string {
  return `s3-destination_${[accountId, folder, table, String(extraction)].map(jobIdPart).join('_')}`;
}

const jobIdPart = (text: string): string =>
  text.replace(/[^A-Za-z0-9_]/gu, (character) =>
    character === '-' ? '--' : `-${character.codePointAt(0)?.toString(16) ?? ''}-`,
  );

/**
 * The role session's name: the customer's CloudTrail shows with it whose dump wrote what. STS takes 64 characters of
 * `[\w+=,.@-]`; an account id has at most {@link accountIdLengthMax}.
 */
export const roleSessionName = (accountId: AccountId, folder?: FolderName): string =>
  folder === undefined ? `${accountId}@connect` : `${accountId}@${folder.replace(':', '.')}`;

/** 64 characters for a session name, less `@` and a folder's 16. */
export const accountIdLengthMax = 47;

/**
 * A table's shards in ranges, one activity each. Small enough that progress moves and that copy workers share a big
 * table, large enough that 10,000 shards make a history of hundreds of events, not tens of thousands.
 */
export function shardRanges(shardCount: number): ShardRange[] {
  const rangeLength = Math.min(Math.max(Math.ceil(shardCount / 16), 8), 256);
  const ranges: ShardRange[] = [];
  for (let first = 0; first < shardCount; first += rangeLength) {
    ranges.push({ first, count: Math.min(rangeLength, shardCount - first) });
  }
  return ranges;
}
