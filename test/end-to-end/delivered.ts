/** Reads what a customer finds in the bucket, without any of the program's code. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import type { CustomerAccount } from '../../sandbox/aws';

/** The receipt as the vendor's guide shows it. */
export interface GuideReceipt {
  readonly timestamp: string;
  readonly tables: Readonly<
    Record<
      string,
      { readonly folder: string; readonly total_file_count: number; readonly schemas: { readonly bigquery: string } }
    >
  >;
}

export interface GuideColumn {
  readonly name: string;
  readonly type: string;
  readonly mode: string;
  readonly fields?: readonly GuideColumn[];
}

export async function readJson<T>(customer: CustomerAccount, key: string): Promise<T> {
  return JSON.parse(Buffer.from((await customer.read(key)).bytes).toString('utf8')) as T;
}

export const keysIn = async (customer: CustomerAccount, folder: string): Promise<string[]> =>
  (await customer.objects()).map(({ Key }) => Key).filter((key) => key.startsWith(`${folder}/`));

/** How a warehouse of the customer's would read the columns that the schema file describes. */
function duckType({ type, mode, fields = [] }: GuideColumn): string {
  const scalar: Readonly<Record<string, string>> = {
    STRING: 'VARCHAR',
    BYTES: 'VARCHAR',
    INTEGER: 'BIGINT',
    FLOAT: 'DOUBLE',
    NUMERIC: 'DECIMAL(38,9)',
    BOOLEAN: 'BOOLEAN',
    TIMESTAMP: 'VARCHAR',
    DATETIME: 'TIMESTAMP',
    DATE: 'DATE',
    TIME: 'TIME',
    JSON: 'JSON',
  };
  const one =
    type === 'RECORD'
      ? `STRUCT(${fields.map((field) => `"${field.name}" ${duckType(field)}`).join(', ')})`
      : scalar[type];
  if (one === undefined) throw new Error(`A schema file names the type ${type}`);
  return mode === 'REPEATED' ? `${one}[]` : one;
}

/** A column's value as delivered, made comparable with the source's. */
function asSource(column: GuideColumn, value: string): string {
  if (column.mode === 'REPEATED') {
    const one = asSource({ ...column, mode: 'NULLABLE' }, 'x');
    return `list_transform(coalesce(${value}, []), lambda x: ${one})`;
  }
  if (column.type === 'RECORD') {
    const entries = (column.fields ?? []).map(
      (field) => `"${field.name}": ${asSource(field, `(${value})."${field.name}"`)}`,
    );
    return `CASE WHEN ${value} IS NULL THEN NULL ELSE {${entries.join(', ')}} END`;
  }
  if (column.type === 'TIMESTAMP') return `replace(${value}, ' UTC', '+00')::TIMESTAMPTZ`;
  if (column.type === 'BYTES') return `from_base64(${value})`;
  if (column.type === 'JSON') return `CASE WHEN ${value} IS NULL THEN NULL ELSE json(${value}) END`;
  return value;
}

export interface Difference {
  readonly sourceRows: number;
  readonly deliveredRows: number;
  /** Rows on one side only, counted with their repetitions. */
  readonly missing: number;
  readonly unexpected: number;
}

/** Compares all rows of a table's shards with the rows of a Parquet file. */
export async function compareRows(
  customer: CustomerAccount,
  table: GuideReceipt['tables'][string],
  parquetFile: string,
): Promise<Difference> {
  const columns = await readJson<GuideColumn[]>(customer, table.schemas.bigquery);
  const folder = await mkdtemp(path.join(os.tmpdir(), 'delivered-'));
  const instance = await DuckDBInstance.create(':memory:', { threads: '2' });
  try {
    for (const [index, key] of (await keysIn(customer, table.folder)).entries()) {
      await writeFile(path.join(folder, `${index}.ndjson.gz`), (await customer.read(key)).bytes);
    }
    const connection = await instance.connect();
    await connection.run(`SET TimeZone = 'UTC'`);
    const types = columns.map((column) => `'${column.name}': '${duckType(column)}'`).join(', ');
    const selected = columns.map((column) => `${asSource(column, `"${column.name}"`)} AS "${column.name}"`).join(', ');
    const delivered = `SELECT ${selected} FROM read_json('${folder}/*.ndjson.gz', format = 'newline_delimited', compression = 'gzip', columns = {${types}})`;
    await connection.run(`CREATE TABLE source AS SELECT * FROM read_parquet('${parquetFile}')`);
    await connection.run(`CREATE TABLE delivered AS FROM source LIMIT 0`);
    await connection.run(`INSERT INTO delivered ${delivered}`);
    const count = async (query: string): Promise<number> => {
      const [row] = (await connection.runAndReadAll(`SELECT count(*) FROM (${query})`)).getRows();
      return Number(row?.[0]);
    };
    return {
      sourceRows: await count('FROM source'),
      deliveredRows: await count('FROM delivered'),
      missing: await count('FROM source EXCEPT ALL FROM delivered'),
      unexpected: await count('FROM delivered EXCEPT ALL FROM source'),
    };
  } finally {
    instance.closeSync();
    await rm(folder, { recursive: true });
  }
}
