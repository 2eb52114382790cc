/** The BigQuery stand-in, asked by the real clients: what it promises to behave like, and that it makes nothing up. */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import type { BigQuery, Table, TableField } from '@google-cloud/bigquery';
import type { Storage } from '@google-cloud/storage';
import { DuckDBInstance } from '@duckdb/node-api';
import { literal } from '../../sandbox/bigquery/columns';
import { shardRowsLabel } from '../../sandbox/bigquery/jobs';
import { serveBigQuery, type ServerOptions } from '../../sandbox/bigquery/server';
import { startCloudStorage } from '../../sandbox/cloud-storage';
import { freePort } from '../../sandbox/ports';
import { createBigQuery, createStorage } from '../../src/stores/google-clients';
import { eventually } from '../eventually';

const project = 'vendor-prod';
const datasetId = 'data_platform';
const location = 'EU';
const staging = 'vendor-staging-eu';
const loads = 'vendor-loads-eu';

/** The part of the REST API's Job that is read here. */
interface Job {
  readonly jobReference: { readonly jobId: string; readonly location: string };
  readonly status: { readonly state: string; readonly errorResult?: { reason: string; message: string } };
  readonly statistics: {
    readonly extract?: { readonly destinationUriFileCounts: readonly string[] };
    readonly load?: { readonly outputRows: string };
  };
}

type Server = Awaited<ReturnType<typeof serveBigQuery>>;

let folder: string;
let storageServer: Awaited<ReturnType<typeof startCloudStorage>>;
let storageUrl: string;
let storage: Storage;
let server: Server;
let bigquery: BigQuery;

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'bigquery-test-'));
  storageServer = await startCloudStorage({
    port: await freePort(),
    folder: path.join(folder, 'storage'),
    say: () => {},
  });
  storageUrl = storageServer.url;
  storage = createStorage({ storage: storageUrl }, project);
  await storage.createBucket(staging, { location });
  await storage.createBucket(loads, { location });
  [server, bigquery] = await serve({ databaseFile: path.join(folder, 'bigquery.db') });
  await bigquery.createDataset(datasetId, { location });
});

afterAll(async () => {
  await server?.close();
  await storageServer?.stop();
  await rm(folder, { recursive: true });
});

async function serve(options: Partial<ServerOptions> = {}): Promise<[Server, BigQuery]> {
  const usual = { port: 0, storageUrl, shardRows: 2500, delayMs: 20, databaseFile: ':memory:' };
  const serving = await serveBigQuery({ ...usual, ...options });
  return [serving, createBigQuery({ bigquery: `http://127.0.0.1:${serving.port}` }, project)];
}

async function createTable(name: string, fields: readonly TableField[], shardRows?: number): Promise<Table> {
  const labels = shardRows === undefined ? {} : { [shardRowsLabel]: String(shardRows) };
  const [table] = await bigquery.dataset(datasetId).createTable(name, { schema: { fields: [...fields] }, labels });
  return table;
}

/** Puts the rows of a DuckDB query into the load bucket, as Parquet. */
async function uploadParquet(name: string, query: string): Promise<void> {
  const instance = await DuckDBInstance.create(':memory:', { threads: '1' });
  try {
    const connection = await instance.connect();
    const file = path.join(folder, `${name}.parquet`);
    await connection.run(`SET TimeZone = 'UTC'`);
    await connection.run(`COPY (${query}) TO ${literal(file)} (FORMAT parquet)`);
    await storage.bucket(loads).upload(file, { destination: name, resumable: false });
  } finally {
    instance.closeSync();
  }
}

async function load(table: Table, query: string, writeDisposition = 'WRITE_TRUNCATE'): Promise<Job> {
  const name = `${table.id ?? ''}-load`;
  await uploadParquet(name, query);
  const [job] = await table.createLoadJob(storage.bucket(loads).file(name), {
    sourceFormat: 'PARQUET',
    writeDisposition,
  });
  return finished(job.id ?? '');
}

async function read(jobId: string, client = bigquery): Promise<Job> {
  const [metadata] = await client.job(jobId, { location }).getMetadata();
  return metadata as Job;
}

const finished = (jobId: string, client = bigquery): Promise<Job> =>
  eventually(
    () => read(jobId, client),
    ({ status }) => status.state === 'DONE',
  );

interface Extract {
  /** With a snapshot decorator, if any. */
  readonly tableId: string;
  readonly jobId?: string;
  readonly destinationFormat?: string;
  readonly prefix?: string;
}

async function startExtract(
  { tableId, jobId, destinationFormat = 'NEWLINE_DELIMITED_JSON', prefix = `${tableId}/` }: Extract,
  client = bigquery,
): Promise<string> {
  const [job] = await client.createJob({
    location,
    ...(jobId === undefined ? {} : { jobId }),
    configuration: {
      extract: {
        sourceTable: { projectId: project, datasetId, tableId },
        destinationUris: [`gs://${staging}/${prefix}shard_*.ndjson.gz`],
        destinationFormat,
        compression: 'GZIP',
      },
    },
  });
  return job.id ?? '';
}

const extract = async (tableId: string): Promise<Job> => finished(await startExtract({ tableId }));

interface Shard {
  readonly name: string;
  readonly lines: readonly string[];
}

async function shards(prefix: string): Promise<Shard[]> {
  const [files] = await storage.bucket(staging).getFiles({ prefix });
  return Promise.all(
    files.map(async (file) => {
      const [gzip] = await file.download();
      const text = gunzipSync(gzip).toString('utf8');
      return { name: file.name, lines: text.split('\n').slice(0, -1) };
    }),
  );
}

/** The rows of a finished extract, as text. */
async function extractedLines(tableId: string): Promise<string[]> {
  expect(await extract(tableId)).toMatchObject({ status: { state: 'DONE' } });
  return (await shards(`${tableId}/`)).flatMap(({ lines }) => lines);
}

const untilLater = (instantMs: number): Promise<number> =>
  eventually(
    async () => Date.now(),
    (now) => now > instantMs,
  );

const idColumn: TableField = { name: 'id', type: 'STRING' };

describe('what it does not implement, it says', () => {
  test('a query is answered 501 with what was asked', async () => {
    await expect(bigquery.query('SELECT 1')).rejects.toMatchObject({
      code: 501,
      errors: [expect.objectContaining({ reason: 'notImplemented' })],
      message: expect.stringContaining('The BigQuery sandbox does not implement') as string,
    });
    await expect(bigquery.createQueryJob('SELECT 1')).rejects.toMatchObject({
      code: 501,
      message: expect.stringContaining('query') as string,
    });
  });

  test('reading rows by tabledata.list is answered 501 with the path', async () => {
    const table = await createTable('listed', [idColumn]);
    await expect(table.getRows()).rejects.toMatchObject({
      code: 501,
      message: expect.stringMatching(/GET .*\/datasets\/data_platform\/tables\/listed\/data/) as string,
    });
  });

  test('a table with a setting that it does not know is answered 501 with the name of the setting', async () => {
    const schema = { fields: [idColumn] };
    await expect(
      bigquery.dataset(datasetId).createTable('clustered', { schema, clustering: { fields: ['id'] } }),
    ).rejects.toMatchObject({ code: 501, message: expect.stringContaining('tables with clustering') as string });
  });

  test('an extract of another format ends without a file, naming the format', async () => {
    await createTable('in_avro', [idColumn]);
    const { status } = await finished(await startExtract({ tableId: 'in_avro', destinationFormat: 'AVRO' }));
    expect(status.errorResult).toMatchObject({
      reason: 'notImplemented',
      message: expect.stringContaining('AVRO') as string,
    });
    expect(await shards('in_avro/')).toEqual([]);
  });
});

describe('rows', () => {
  test('come in by a load of Parquet, which says how many', async () => {
    const table = await createTable('loaded', [idColumn, { name: 'count', type: 'INTEGER' }]);
    const { statistics } = await load(table, `SELECT i::VARCHAR AS id, i AS count FROM range(3) t(i)`);
    expect(statistics.load?.outputRows).toBe('3');
    const lines = await extractedLines('loaded');
    expect(lines.toSorted()).toEqual([0, 1, 2].map((row) => `{"id":"${row}","count":"${row}"}`));
  });

  test('of a load that does not truncate are added to those that were there', async () => {
    const table = await createTable('appended', [idColumn]);
    await load(table, `SELECT 'first' AS id`);
    await load(table, `SELECT 'second' AS id`, 'WRITE_APPEND');
    expect((await extractedLines('appended')).toSorted()).toEqual(['{"id":"first"}', '{"id":"second"}']);
  });

  test('come in streamed, with bytes as the client sends them', async () => {
    const table = await createTable('streamed', [
      idColumn,
      { name: 'raw', type: 'BYTES' },
      { name: 'at', type: 'TIMESTAMP' },
      { name: 'tags', type: 'STRING', mode: 'REPEATED' },
    ]);
    await table.insert([
      { id: 'one', raw: Buffer.from([0, 255, 16]), at: '2023-01-02T15:04:05Z', tags: ['a', 'b'] },
      { id: 'two' },
    ]);
    expect((await extractedLines('streamed')).toSorted()).toEqual([
      '{"id":"one","raw":"AP8Q","at":"2023-01-02 15:04:05 UTC","tags":["a","b"]}',
      '{"id":"two","tags":[]}',
    ]);
  });

  test('of a load of a missing file do not come in, and the job says what is missing', async () => {
    const table = await createTable('unloaded', [idColumn]);
    const [job] = await table.createLoadJob(storage.bucket(loads).file('nowhere'), { sourceFormat: 'PARQUET' });
    const { status } = await finished(job.id ?? '');
    expect(status.errorResult).toMatchObject({
      reason: 'notFound',
      message: expect.stringContaining(`gs://${loads}/nowhere`) as string,
    });
    expect(await extractedLines('unloaded')).toEqual([]);
  });
});

describe('an extract', () => {
  test('has shards of as many rows as the label says, named from zero, each gzipped lines of JSON', async () => {
    const table = await createTable('sharded', [{ name: 'row', type: 'INTEGER' }], 3);
    await load(table, 'SELECT i AS row FROM range(10) t(i)');
    const { statistics } = await extract('sharded');
    expect(statistics.extract?.destinationUriFileCounts).toEqual(['4']);
    const written = await shards('sharded/');
    expect(written.map(({ name }) => name)).toEqual(
      [0, 1, 2, 3].map((shard) => `sharded/shard_00000000000${shard}.ndjson.gz`),
    );
    expect(written.map(({ lines }) => lines.length)).toEqual([3, 3, 3, 1]);
    const rows = written.flatMap(({ lines }) => lines.map((line) => (JSON.parse(line) as { row: string }).row));
    expect(rows.map(Number).toSorted((one, other) => one - other)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  test('has no empty last shard where the rows divide evenly', async () => {
    const table = await createTable('even', [{ name: 'row', type: 'INTEGER' }], 5);
    await load(table, 'SELECT i AS row FROM range(10) t(i)');
    const { statistics } = await extract('even');
    expect(statistics.extract?.destinationUriFileCounts).toEqual(['2']);
    expect((await shards('even/')).map(({ lines }) => lines.length)).toEqual([5, 5]);
  });

  test('counts as many shards as it writes where they are many', async () => {
    const table = await createTable('many', [{ name: 'row', type: 'INTEGER' }], 1);
    await load(table, 'SELECT i AS row FROM range(120) t(i)');
    const { statistics } = await extract('many');
    expect(statistics.extract?.destinationUriFileCounts).toEqual(['120']);
    expect((await shards('many/')).map(({ name }) => name).at(-1)).toBe('many/shard_000000000119.ndjson.gz');
  });

  test('of an empty table writes one empty file', async () => {
    await createTable('empty', [idColumn]);
    const { statistics } = await extract('empty');
    expect(statistics.extract?.destinationUriFileCounts).toEqual(['1']);
    expect(await shards('empty/')).toEqual([{ name: 'empty/shard_000000000000.ndjson.gz', lines: [] }]);
  });

  test('writes each type as BigQuery does', async () => {
    const table = await createTable('typed', [
      { name: 'integer', type: 'INTEGER' },
      { name: 'numeric', type: 'NUMERIC' },
      { name: 'whole_numeric', type: 'NUMERIC' },
      { name: 'float', type: 'FLOAT' },
      { name: 'yes', type: 'BOOLEAN' },
      { name: 'timestamp', type: 'TIMESTAMP' },
      { name: 'whole_timestamp', type: 'TIMESTAMP' },
      { name: 'datetime', type: 'DATETIME' },
      { name: 'day', type: 'DATE' },
      { name: 'time_of_day', type: 'TIME' },
      { name: 'raw', type: 'BYTES' },
      { name: 'document', type: 'JSON' },
    ]);
    await load(
      table,
      `SELECT 9007199254740993::BIGINT AS integer, 12.345::DECIMAL(38,9) AS numeric, 100::DECIMAL(38,9) AS whole_numeric,
        0.5::DOUBLE AS float, true AS yes,
        TIMESTAMPTZ '2023-01-02 15:04:05.123456+00' AS timestamp, TIMESTAMPTZ '2023-01-02 15:04:05+00' AS whole_timestamp,
        TIMESTAMP '2023-01-02 15:04:05.123456' AS datetime, DATE '2023-01-02' AS day, TIME '15:04:05' AS time_of_day,
        '\\x00\\xFF\\x10'::BLOB AS raw, '{"a":[1,null]}'::JSON AS document`,
    );
    const lines = await extractedLines('typed');
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
      {
        integer: '9007199254740993',
        numeric: '12.345',
        whole_numeric: '100',
        float: 0.5,
        yes: true,
        timestamp: '2023-01-02 15:04:05.123456 UTC',
        whole_timestamp: '2023-01-02 15:04:05 UTC',
        datetime: '2023-01-02T15:04:05.123456',
        day: '2023-01-02',
        time_of_day: '15:04:05',
        raw: 'AP8Q',
        document: { a: [1, null] },
      },
    ]);
  });

  test('writes the fraction of a second also of an instant before 1970', async () => {
    const table = await createTable('old', [
      { name: 'at', type: 'TIMESTAMP' },
      { name: 'noted', type: 'DATETIME' },
    ]);
    await load(
      table,
      `SELECT TIMESTAMPTZ '1962-03-04 05:06:07.25+00' AS at, TIMESTAMP '1969-12-31 23:59:59.999999' AS noted`,
    );
    expect(await extractedLines('old')).toEqual([
      '{"at":"1962-03-04 05:06:07.25 UTC","noted":"1969-12-31T23:59:59.999999"}',
    ]);
  });

  test('nests records and repeats values, and leaves out what is null', async () => {
    const table = await createTable('nested', [
      idColumn,
      {
        name: 'company',
        type: 'RECORD',
        fields: [
          { name: 'name', type: 'STRING' },
          { name: 'size', type: 'INTEGER' },
          { name: 'domains', type: 'STRING', mode: 'REPEATED' },
        ],
      },
      {
        name: 'touches',
        type: 'RECORD',
        mode: 'REPEATED',
        fields: [
          { name: 'day', type: 'DATE' },
          { name: 'weights', type: 'NUMERIC', mode: 'REPEATED' },
        ],
      },
    ]);
    await load(
      table,
      `SELECT 'full' AS id, {name: 'Acme', size: 7::BIGINT, domains: ['a.com', 'b.com']} AS company,
        [{day: DATE '2023-01-02', weights: [0.5::DECIMAL(38,9), 1::DECIMAL(38,9)]}, {day: NULL, weights: []}] AS touches
      UNION ALL SELECT 'bare', NULL, NULL`,
    );
    expect((await extractedLines('nested')).toSorted()).toEqual([
      '{"id":"bare","touches":[]}',
      '{"id":"full","company":{"name":"Acme","size":"7","domains":["a.com","b.com"]},"touches":[{"day":"2023-01-02","weights":["0.5","1"]},{"weights":[]}]}',
    ]);
  });

  test('escapes what is dangerous in HTML, and keeps every other character', async () => {
    const table = await createTable('texts', [idColumn]);
    const text = '<b>Ångström & "Söhne"</b>\n日本 🚀 \\ \t end';
    await load(table, `SELECT ${literal(text)} AS id`);
    const [line = ''] = await extractedLines('texts');
    expect(line).toContain('\\u003cb\\u003eÅngström \\u0026 \\"Söhne\\"\\u003c/b\\u003e\\n日本 🚀');
    expect(JSON.parse(line)).toEqual({ id: text });
  });

  test('of a view is refused', async () => {
    await bigquery
      .dataset(datasetId)
      .createTable('a_view', { view: { query: 'SELECT 1 AS one', useLegacySql: false } });
    const { status } = await extract('a_view');
    expect(status.errorResult).toMatchObject({
      reason: 'invalid',
      message: expect.stringContaining('not allowed for this operation because of its type') as string,
    });
  });

  test('into a bucket that does not exist ends in a failure that names the file', async () => {
    await createTable('homeless', [idColumn]);
    const [job] = await bigquery.createJob({
      location,
      configuration: {
        extract: {
          sourceTable: { projectId: project, datasetId, tableId: 'homeless' },
          destinationUris: ['gs://no-such-bucket/shard_*.ndjson.gz'],
          destinationFormat: 'NEWLINE_DELIMITED_JSON',
          compression: 'GZIP',
        },
      },
    });
    const { status } = await finished(job.id ?? '');
    expect(status.errorResult?.message).toContain('gs://no-such-bucket/shard_000000000000.ndjson.gz');
  });
});

describe('a snapshot decorator', () => {
  test('reads the rows as of then, whatever was streamed or loaded since', async () => {
    const table = await createTable('changing', [idColumn]);
    await load(table, `SELECT 'loaded' AS id`);
    const beforeStreaming = await untilLater(Date.now());
    await untilLater(beforeStreaming);
    await table.insert([{ id: 'streamed' }]);
    const beforeTruncating = await untilLater(Date.now());
    await untilLater(beforeTruncating);
    await load(table, `SELECT 'another' AS id`);

    expect(await extractedLines(`changing@${beforeStreaming}`)).toEqual(['{"id":"loaded"}']);
    expect((await extractedLines(`changing@${beforeTruncating}`)).toSorted()).toEqual([
      '{"id":"loaded"}',
      '{"id":"streamed"}',
    ]);
    expect(await extractedLines('changing')).toEqual(['{"id":"another"}']);
  });

  test('is refused before the table was made and in the future', async () => {
    await createTable('young', [idColumn]);
    const tooEarly = await extract(`young@${Date.now() - 3_600_000}`);
    expect(tooEarly.status.errorResult).toMatchObject({
      reason: 'invalid',
      message: expect.stringContaining('Cannot read before') as string,
    });
    const tooLate = await extract(`young@${Date.now() + 3_600_000}`);
    expect(tooLate.status.errorResult).toMatchObject({
      reason: 'invalid',
      message: expect.stringContaining('It is in the future') as string,
    });
  });
});

describe('tables and datasets', () => {
  test('are described with location, type and schema', async () => {
    const [metadata] = await (await createTable('described', [idColumn])).getMetadata();
    expect(metadata).toMatchObject({ type: 'TABLE', location, schema: { fields: [idColumn] } });
  });

  test('that are missing are answered 404 notFound', async () => {
    const missing = { code: 404, errors: [expect.objectContaining({ reason: 'notFound' })] };
    await expect(bigquery.dataset(datasetId).table('nowhere').getMetadata()).rejects.toMatchObject(missing);
    await expect(bigquery.dataset('nowhere').table('nowhere').getMetadata()).rejects.toMatchObject(missing);
    const table = await createTable('deleted', [idColumn]);
    await table.delete();
    await expect(table.getMetadata()).rejects.toMatchObject(missing);
    expect((await extract('nowhere')).status.errorResult).toMatchObject({ reason: 'notFound' });
  });

  test('that are there already are answered 409 duplicate', async () => {
    const duplicate = { code: 409, errors: [expect.objectContaining({ reason: 'duplicate' })] };
    await createTable('twice', [idColumn]);
    await expect(createTable('twice', [idColumn])).rejects.toMatchObject(duplicate);
    await expect(bigquery.createDataset(datasetId, { location })).rejects.toMatchObject(duplicate);
  });
});

describe('a job', () => {
  test('of an id that was used before is answered 409 duplicate, and the first goes on', async () => {
    await createTable('once', [idColumn]);
    const jobId = await startExtract({ tableId: 'once', jobId: 'chosen-id' });
    expect(jobId).toBe('chosen-id');
    await expect(startExtract({ tableId: 'once', jobId: 'chosen-id' })).rejects.toMatchObject({
      code: 409,
      errors: [expect.objectContaining({ reason: 'duplicate' })],
    });
    expect((await finished(jobId)).status).toEqual({ state: 'DONE' });
    await expect(startExtract({ tableId: 'once', jobId: 'chosen-id' })).rejects.toMatchObject({ code: 409 });
  });

  test('is found only with its location', async () => {
    await createTable('located', [idColumn]);
    const jobId = await startExtract({ tableId: 'located' });
    expect((await finished(jobId)).jobReference).toMatchObject({ jobId, location });
    await expect(bigquery.job(jobId).getMetadata()).rejects.toMatchObject({ code: 404 });
    await expect(bigquery.job(jobId, { location: 'US' }).getMetadata()).rejects.toMatchObject({ code: 404 });
  });

  test('is pending, then running, then done, and a running one that is cancelled ends stopped', async () => {
    const [slow, client] = await serve({ delayMs: 3_000 });
    try {
      await client.createDataset(datasetId, { location });
      await client.dataset(datasetId).createTable('slow', { schema: { fields: [idColumn] } });
      const left = await startExtract({ tableId: 'slow', prefix: 'left/' }, client);
      const cancelled = await startExtract({ tableId: 'slow', prefix: 'cancelled/' }, client);
      expect((await read(left, client)).status).toEqual({ state: 'PENDING' });
      await eventually(
        () => read(cancelled, client),
        ({ status }) => status.state === 'RUNNING',
      );
      await client.job(cancelled, { location }).cancel();
      expect((await finished(cancelled, client)).status.errorResult).toMatchObject({ reason: 'stopped' });
      expect((await finished(left, client)).status).toEqual({ state: 'DONE' });
      expect(await shards('cancelled/')).toEqual([]);
      // One that is done already is left as it is.
      await client.job(left, { location }).cancel();
      expect((await read(left, client)).status).toEqual({ state: 'DONE' });
    } finally {
      await slow.close();
    }
  });
});

test('tables, rows and jobs outlive the server, and a job that it broke off has failed with backendError', async () => {
  const databaseFile = path.join(folder, 'kept.db');
  const [first, client] = await serve({ databaseFile });
  await client.createDataset(datasetId, { location });
  const [table] = await client.dataset(datasetId).createTable('kept', { schema: { fields: [idColumn] } });
  await table.insert([{ id: 'kept row' }]);
  const done = await startExtract({ tableId: 'kept', prefix: 'kept-before/' }, client);
  await finished(done, client);
  await first.close();

  const [second, secondClient] = await serve({ databaseFile, delayMs: 60_000 });
  const brokenOff = await startExtract({ tableId: 'kept', prefix: 'kept-broken/' }, secondClient);
  await second.close();

  const [third, thirdClient] = await serve({ databaseFile });
  try {
    expect((await read(done, thirdClient)).status).toEqual({ state: 'DONE' });
    expect((await read(brokenOff, thirdClient)).status).toMatchObject({
      state: 'DONE',
      errorResult: { reason: 'backendError' },
    });
    await finished(await startExtract({ tableId: 'kept', prefix: 'kept-after/' }, thirdClient), thirdClient);
    expect((await shards('kept-after/')).flatMap(({ lines }) => lines)).toEqual(['{"id":"kept row"}']);
  } finally {
    await third.close();
  }
});
