import type {
  AccountId,
  AwsAccountId,
  BucketName,
  BucketPath,
  DatasetName,
  DestinationSettings,
  KmsKeyArn,
  ModellingRun,
  RoleArn,
  TableName,
} from '../contract';
import { clockSkewMs } from '../timing';
import { accountIdLengthMax } from './keys';

/** A value from outside that cannot be taken. The message is one sentence for whoever gave it. */
export class InvalidInput extends Error {
  override readonly name = 'InvalidInput';
}

/** What `connect` is given, before it is checked. */
export interface DestinationInput {
  readonly roleArn: string;
  readonly bucket: string;
  readonly path?: string | undefined;
  readonly tables?: readonly string[] | undefined;
  readonly bucketOwner?: string | undefined;
  readonly kmsKeyArn?: string | undefined;
}

export const defaultTables = ['companies', 'contacts', 'events', 'revenue', 'revenue_attribution', 'paid_ads'] as const;

export function parseAccountId(value: unknown): AccountId {
  const text = required('account', value);
  if (!/^[A-Za-z0-9_-]+$/.test(text) || text.length < 2 || text.length > accountIdLengthMax) {
    throw new InvalidInput(
      `Account ${quote(text)} is not an account id: use 2 to ${accountIdLengthMax} letters, digits, '_' and '-', for example acc_7Hq2.`,
    );
  }
  return text as AccountId;
}

export function parseDestination(value: unknown): DestinationSettings {
  const input = record('settings', value);
  const roleArn = parseRoleArn(input['roleArn']);
  const path = input['path'];
  const kmsKeyArn = input['kmsKeyArn'];
  return {
    roleArn,
    bucket: parseBucketName(input['bucket']),
    bucketOwner: input['bucketOwner'] === undefined ? accountOfRole(roleArn) : parseAwsAccountId(input['bucketOwner']),
    ...(path === undefined || path === '' ? {} : { path: parsePath(path) }),
    ...(kmsKeyArn === undefined ? {} : { kmsKeyArn: parseKmsKeyArn(kmsKeyArn) }),
    tables: parseTables(input['tables'] ?? defaultTables),
  };
}

export function parseModellingRun(value: unknown, nowMs: number): ModellingRun {
  const input = record('modelling run', value);
  return {
    runId: parseRunId(input['runId']),
    finishedAt: parseFinishedAt(input['finishedAt'], nowMs),
    dataset: parseDataset(input['dataset']),
  };
}

export function parseRoleArn(value: unknown): RoleArn {
  const text = required('role ARN', value);
  if (!/^arn:aws:iam::\d{12}:role\/([\x21-\x7e]+\/)?[\w+=,.@-]{1,64}$/.test(text) || text.length > 2048) {
    throw new InvalidInput(
      `Role ARN ${quote(text)} is malformed: it looks like arn:aws:iam::111122223333:role/dreamdata-data-platform (IAM > Roles > the role > ARN).`,
    );
  }
  return text as RoleArn;
}

const accountOfRole = (roleArn: RoleArn): AwsAccountId =>
  roleArn.slice('arn:aws:iam::'.length).slice(0, 12) as AwsAccountId;

function parseAwsAccountId(value: unknown): AwsAccountId {
  const text = required('bucket owner', value);
  if (!/^\d{12}$/.test(text)) {
    throw new InvalidInput(`Bucket owner ${quote(text)} is not an AWS account id: give its 12 digits.`);
  }
  return text as AwsAccountId;
}

/** Bucket naming rules of the S3 user guide. */
export function parseBucketName(value: unknown): BucketName {
  const text = required('bucket', value);
  if (text.startsWith('arn:')) {
    throw new InvalidInput(
      `Bucket ${quote(text)} is an ARN: give the bucket's name, the part after 'arn:aws:s3:::', without a path.`,
    );
  }
  const wellFormed = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(text) && !text.includes('..') && !/^[\d.]+$/.test(text);
  if (!wellFormed) {
    throw new InvalidInput(
      `Bucket ${quote(text)} is not a bucket name: S3 takes 3 to 63 lower-case letters, digits, '.' and '-', beginning and ending with a letter or digit.`,
    );
  }
  return text as BucketName;
}

/** Leaves room for a folder, twice the longest table name and a shard's number in S3's 1,024 bytes of key. */
const pathLengthMax = 200;

/**
 * A path becomes part of keys and of a session policy's `Resource`: `*`, `?` and `$` mean something there, and the other
 * characters that are left out are those that S3's user guide says to avoid in keys.
 */
export function parsePath(value: unknown): BucketPath {
  const text = required('path', value);
  const refuse = (why: string): never => {
    throw new InvalidInput(`Path ${quote(text)} ${why}. A good path is, for example, exports/dreamdata.`);
  };
  if (text.length > pathLengthMax) refuse(`is longer than ${pathLengthMax} characters`);
  if (text.startsWith('/') || text.endsWith('/')) refuse('begins or ends with a slash: leave it off');
  if (text.includes('//')) refuse("has an empty part ('//')");
  if (text.split('/').some((part) => part === '.' || part === '..')) refuse("has a part that is '.' or '..'");
  if (!/^[A-Za-z0-9/!_.'()=@+,:&; -]+$/.test(text)) {
    refuse("has a character that may not be in it: use letters, digits, spaces and / ! _ . ' ( ) = @ + , : & ; -");
  }
  return text as BucketPath;
}

/** `arn:aws:kms:<region>:<account>:key/<id>`. The policies that `policies` prints could not name an alias. */
export function parseKmsKeyArn(value: unknown): KmsKeyArn {
  const text = required('KMS key ARN', value);
  if (!/^arn:aws:kms:[a-z]{2}(?:-[a-z]+)+-\d:\d{12}:key\/[\w-]+$/.test(text)) {
    if (/^arn:aws:kms:.+:alias\//.test(text)) {
      throw new InvalidInput(
        `KMS key ARN ${quote(text)} is an alias's, which no policy can name as a resource: give the key's own ARN, which ends in key/ and the key's id.`,
      );
    }
    throw new InvalidInput(
      `KMS key ARN ${quote(text)} is malformed: it looks like arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab.`,
    );
  }
  return text as KmsKeyArn;
}

function parseTables(value: unknown): TableName[] {
  if (!Array.isArray(value)) throw new InvalidInput('Tables must be a list of table names.');
  if (value.length === 0) throw new InvalidInput('The list of tables is empty: name at least one table.');
  const tables = value.map(parseTableName);
  const repeated = tables.find((table, index) => tables.indexOf(table) !== index);
  if (repeated !== undefined) throw new InvalidInput(`Table ${quote(repeated)} is named twice.`);
  return tables;
}

/** BigQuery takes 1,024 bytes; a name stands twice in a shard's key, which S3 bounds, and encoded in an extract job's id. */
const tableNameBytesMax = 200;

/** Table naming rules of the BigQuery documentation, less one name that would collide with the schemas' folder. */
export function parseTableName(value: unknown): TableName {
  const text = required('table', value);
  if (
    !/^[\p{L}\p{M}\p{N}\p{Pc}\p{Pd}\p{Zs}]+$/u.test(text) ||
    new TextEncoder().encode(text).length > tableNameBytesMax
  ) {
    throw new InvalidInput(
      `Table ${quote(text)} is not a BigQuery table name: use up to ${tableNameBytesMax} bytes of letters, digits, '_', '-' and spaces, without the dataset.`,
    );
  }
  if (text === 'schemas') {
    throw new InvalidInput("Table 'schemas' cannot be delivered: the folder of that name holds the schemas.");
  }
  return text as TableName;
}

function parseRunId(value: unknown): string {
  const text = required('run id', value);
  // eslint-disable-next-line no-control-regex -- control characters are what is refused
  if (text.length > 200 || /[\u0000-\u001f\u007f]/.test(text)) {
    throw new InvalidInput(`Run id ${quote(text)} cannot be taken: use up to 200 characters, no control characters.`);
  }
  return text;
}

/** Why somebody gives a dump up, in their words; `undefined` where they do not say. */
export function parseReason(value: unknown): string | undefined {
  if (value === undefined || value === null || value === '') return undefined;
  const text = required('reason', value);
  if (text.length > 500) throw new InvalidInput('The reason is too long: use up to 500 characters.');
  return text;
}

/** RFC 3339. A snapshot of the future cannot be read. */
function parseFinishedAt(value: unknown, nowMs: number): string {
  const text = required('finishedAt', value);
  const instantMs = rfc3339Ms(text);
  if (instantMs === undefined) {
    throw new InvalidInput(`finishedAt ${quote(text)} is not an RFC 3339 instant such as 2023-01-02T15:04:05.678Z.`);
  }
  if (instantMs > nowMs + clockSkewMs) {
    throw new InvalidInput(
      `finishedAt ${quote(text)} lies in the future (it is ${new Date(nowMs).toISOString()}): give the instant at which the run finished.`,
    );
  }
  return new Date(instantMs).toISOString();
}

/** `Date.parse` takes other forms too, and moves a day that does not exist to the next month. */
function rfc3339Ms(text: string): number | undefined {
  const [, day] = /^(\d{4}-\d{2}-\d{2})T\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:Z|[+-]\d{2}:\d{2})$/.exec(text) ?? [];
  const instantMs = Date.parse(text);
  if (day === undefined || Number.isNaN(instantMs)) return undefined;
  return new Date(`${day}T00:00:00Z`).toISOString().startsWith(day) ? instantMs : undefined;
}

/** `project.dataset`. A project may have a domain before a colon (Google Cloud, "Creating and managing projects"). */
export function parseDataset(value: unknown): DatasetName {
  const text = required('dataset', value);
  if (!/^([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]\.\w{1,1024}$/.test(text)) {
    throw new InvalidInput(
      `Dataset ${quote(text)} is not of the form project.dataset, for example acme-prod.data_platform.`,
    );
  }
  return text as DatasetName;
}

function required(what: string, value: unknown): string {
  if (value === undefined || value === null || value === '') throw new InvalidInput(`The ${what} is missing.`);
  if (typeof value !== 'string') throw new InvalidInput(`The ${what} must be text.`);
  return value;
}

function record(what: string, value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new InvalidInput(`The ${what} must be an object.`);
  }
  return value as Record<string, unknown>;
}

/** Shows what was given without letting control characters or length spoil the sentence. */
const quote = (text: string): string =>
  `'${JSON.stringify(text.slice(0, 120))
    .slice(1, -1)
    .replaceAll('\\"', '"')
    .replace(/[\u007f-\u009f]/g, '?')}'`;
