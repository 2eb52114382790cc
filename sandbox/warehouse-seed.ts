/** Fills the BigQuery stand-in through the real clients: tables made from a seed, or the user's own files. */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { BigQuery, TableField } from '@google-cloud/bigquery';
import type { Storage } from '@google-cloud/storage';
import {
  DuckDBInstance,
  DuckDBListType,
  DuckDBStructType,
  type DuckDBConnection,
  type DuckDBType,
} from '@duckdb/node-api';
import { b2bTables, macros, tableQuery } from './b2b-tables';
import { identifier, literal, type Column } from './bigquery/columns';
import { shardRowsLabel } from './bigquery/jobs';
import { SandboxError } from './toolchain';

export interface SeedOptions {
  readonly bigquery: BigQuery;
  readonly storage: Storage;
  readonly dataset: string;
  readonly location: string;
  /** A bucket that load jobs read from. */
  readonly loadBucket: string;
  readonly seed: number;
  /** 1 makes 134,000 rows. */
  readonly scale: number;
  /** The user's own Parquet, CSV or NDJSON files, instead of made-up tables. */
  readonly dataFolder?: string | undefined;
  /** Where the tables' rows are kept as Parquet, `<table>.parquet`: the truth that a test can compare with. */
  readonly parquetFolder?: string;
  /** Rows to a shard, by table, where not the stand-in's default. */
  readonly shardRows?: Readonly<Record<string, number>>;
  /** A table that is made without rows. */
  readonly emptyTable?: string | undefined;
}

export interface SeededTable {
  readonly name: string;
  readonly rowCount: number;
}

interface Source {
  readonly name: string;
  /** A SQL query of the table's rows. */
  readonly query: string;
}

export async function seedWarehouse(options: SeedOptions, say: (line: string) => void): Promise<SeededTable[]> {
  await options.bigquery.createDataset(options.dataset, { location: options.location });
  const instance = await DuckDBInstance.create(':memory:', { threads: '2' });
  const folder = await mkdtemp(path.join(os.tmpdir(), 's3-destination-seed-'));
  try {
    const connection = await instance.connect();
    await connection.run(`SET TimeZone = 'UTC'`);
    await connection.run(macros(options.seed));
    const sources = options.dataFolder === undefined ? madeUp(options) : await filesIn(options.dataFolder);
    const written: WrittenTable[] = [];
    for (const source of sources) written.push(await writeTable(connection, source, options.parquetFolder ?? folder));
    return await Promise.all(written.map((table) => loadTable(table, options, say)));
  } finally {
    instance.closeSync();
    await rm(folder, { recursive: true });
  }
}

const madeUp = ({ scale, emptyTable }: SeedOptions): Source[] =>
  Object.entries(b2bTables).map(([name, recipe]) => ({
    name,
    query: tableQuery(recipe, name === emptyTable ? 0 : Math.max(1, Math.round(recipe.rows * scale))),
  }));

const readers: Readonly<Record<string, string>> = {
  '.parquet': 'read_parquet',
  '.csv': 'read_csv',
  '.ndjson': 'read_ndjson',
  '.jsonl': 'read_ndjson',
};

async function filesIn(folder: string): Promise<Source[]> {
  const names = await readdir(folder).catch(() => {
    throw new SandboxError(`--data names '${folder}', which is not a folder that can be read.`);
  });
  const sources = names.toSorted().flatMap((name) => {
    const [, table = '', extension = ''] = /^(.+?)(\.[a-z]+)(?:\.gz)?$/.exec(name) ?? [];
    const reader = readers[extension];
    return reader === undefined
      ? []
      : [{ name: table, query: `SELECT * FROM ${reader}(${literal(path.join(folder, name))})` }];
  });
  if (sources.length === 0) {
    throw new SandboxError(
      `'${folder}' has no .parquet, .csv, .ndjson or .jsonl file: each file becomes a table of its name.`,
    );
  }
  return sources;
}

interface WrittenTable {
  readonly name: string;
  readonly file: string;
  readonly columns: readonly Column[];
}

async function writeTable(connection: DuckDBConnection, source: Source, folder: string): Promise<WrittenTable> {
  const columns = await columnsOf(connection, source);
  const renamed = columns.map(({ name, column }) => `${identifier(name)} AS ${identifier(column.name)}`).join(', ');
  const file = path.join(folder, `${source.name}.parquet`);
  await connection.run(`COPY (SELECT ${renamed} FROM (${source.query})) TO ${literal(file)} (FORMAT parquet)`);
  return { name: source.name, file, columns: columns.map(({ column }) => column) };
}

async function loadTable(
  { name, file, columns }: WrittenTable,
  { bigquery, storage, dataset, loadBucket, shardRows }: SeedOptions,
  say: (line: string) => void,
): Promise<SeededTable> {
  const [table] = await bigquery.dataset(dataset).createTable(name, {
    schema: { fields: columns as TableField[] },
    labels: shardRows?.[name] === undefined ? {} : { [shardRowsLabel]: String(shardRows[name]) },
  });
  const [staged] = await storage
    .bucket(loadBucket)
    .upload(file, { destination: `${dataset}/${name}`, resumable: false });
  const [load] = await table.createLoadJob(staged, { sourceFormat: 'PARQUET', writeDisposition: 'WRITE_TRUNCATE' });
  const { outputRows } = await finishedLoad(bigquery, load.id ?? '', load.location ?? '');
  await staged.delete();
  say(`  ${name}: ${Number(outputRows).toLocaleString('en-GB')} rows`);
  return { name, rowCount: Number(outputRows) };
}

async function finishedLoad(bigquery: BigQuery, jobId: string, location: string): Promise<{ outputRows: string }> {
  const job = bigquery.job(jobId, { location });
  const [metadata] = (await job.promise()) as [{ statistics: { load: { outputRows: string } } }];
  return metadata.statistics.load;
}

/** The query's columns, as BigQuery would take them. */
async function columnsOf(connection: DuckDBConnection, { name: table, query }: Source) {
  const result = await connection.run(`SELECT * FROM (${query}) LIMIT 0`);
  return result.columnNames().map((name, index) => ({ name, column: columnOf(table, name, result.columnType(index)) }));
}

function columnOf(table: string, name: string, type: DuckDBType): Column {
  // BigQuery's own "character map" does the same to names that it does not take.
  const legalName = name.replace(/^(\d)/, '_$1').replace(/\W/g, '_');
  if (type instanceof DuckDBListType) {
    if (type.valueType instanceof DuckDBListType) {
      throw new SandboxError(
        `Column ${name} of ${table} is a list of lists, which BigQuery does not have: put a record between them.`,
      );
    }
    return { ...columnOf(table, name, type.valueType), mode: 'REPEATED' };
  }
  if (type instanceof DuckDBStructType) {
    const fields = type.entryNames.map((entry, index) => columnOf(table, entry, entryType(type, index)));
    return { name: legalName, type: 'RECORD', mode: 'NULLABLE', fields };
  }
  return { name: legalName, type: scalarType(table, name, type), mode: 'NULLABLE' };
}

function entryType(type: DuckDBStructType, index: number): DuckDBType {
  const entry = type.entryTypes[index];
  if (entry === undefined) throw new Error(`DuckDB names an entry of ${type.toString()} without a type`);
  return entry;
}

function scalarType(table: string, name: string, type: DuckDBType): string {
  const text = type.alias ?? type.toString();
  if (/^U?(TINYINT|SMALLINT|INTEGER)$|^BIGINT$/.test(text)) return 'INTEGER';
  if (/^(UBIGINT|U?HUGEINT|DECIMAL\(.*\))$/.test(text)) return 'NUMERIC';
  if (/^(FLOAT|DOUBLE)$/.test(text)) return 'FLOAT';
  if (/^(VARCHAR|UUID|ENUM.*)$/.test(text)) return 'STRING';
  if (/^TIMESTAMP WITH TIME ZONE$/.test(text)) return 'TIMESTAMP';
  if (/^TIMESTAMP/.test(text)) return 'DATETIME';
  if (/^(BOOLEAN|DATE|TIME|JSON)$/.test(text)) return text;
  if (text === 'BLOB') return 'BYTES';
  throw new SandboxError(
    `Column ${name} of ${table} is of type ${text}, which has no counterpart in BigQuery: cast it first.`,
  );
}
