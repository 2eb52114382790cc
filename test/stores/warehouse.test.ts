/** BigQuery through the real client: against the stand-in, and against answers that the stand-in never gives. */
import { mkdtemp, rm } from 'node:fs/promises';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import type { BigQuery } from '@google-cloud/bigquery';
import type { Storage } from '@google-cloud/storage';
import { shardRowsLabel } from '../../sandbox/bigquery/jobs';
import { serveBigQuery } from '../../sandbox/bigquery/server';
import { startCloudStorage } from '../../sandbox/cloud-storage';
import { freePort } from '../../sandbox/ports';
import { parseDataset, parseTableName } from '../../src/dump/inputs';
import { warehouseFailure } from '../../src/failures';
import { createBigQuery, createStorage } from '../../src/stores/google-clients';
import { BigQueryWarehouse, type ExtractJob, type ExtractRequest, type TableRef } from '../../src/stores/warehouse';
import { eventually } from '../eventually';
import { SilentServer } from '../silent-server';

const project = 'vendor-prod';
const location = 'EU';
const staging = 'vendor-staging-eu';
const dataset = parseDataset(`${project}.data_platform`);
const fields = [{ name: 'id', type: 'STRING' }];

let folder: string;
let storageServer: Awaited<ReturnType<typeof startCloudStorage>>;
let storage: Storage;
let server: Awaited<ReturnType<typeof serveBigQuery>>;
let bigquery: BigQuery;
let warehouse: BigQueryWarehouse;

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'warehouse-test-'));
  storageServer = await startCloudStorage({ port: await freePort(), folder, say: () => {} });
  const { url: storageUrl } = storageServer;
  storage = createStorage({ storage: storageUrl }, project);
  await storage.createBucket(staging, { location });
  server = await serveBigQuery({ port: 0, storageUrl, databaseFile: ':memory:', shardRows: 2500, delayMs: 400 });
  // The project that jobs run in is another than the one whose tables are read.
  const jobs = { bigquery: `http://127.0.0.1:${server.port}` };
  warehouse = new BigQueryWarehouse(createBigQuery(jobs, 'vendor-jobs'));
  bigquery = createBigQuery(jobs, project);
  await bigquery.createDataset('data_platform', { location: 'eu' });
});

afterAll(async () => {
  await server?.close();
  await storageServer?.stop();
  await rm(folder, { recursive: true });
});

/** A table with two rows, each a shard of its own. */
async function createTable(name: string): Promise<TableRef> {
  const [table] = await bigquery
    .dataset('data_platform')
    .createTable(name, { schema: { fields }, labels: { [shardRowsLabel]: '1' } });
  await table.insert([{ id: 'one' }, { id: 'two' }]);
  return { dataset, table: parseTableName(name) };
}

const request = (ref: TableRef, jobId: string): ExtractRequest => ({
  ...ref,
  jobId,
  location,
  snapshotMs: Date.now(),
  destinationUri: `gs://${staging}/${jobId}/${ref.table}_*.ndjson.gz`,
});

const ended = (job: ExtractRequest): Promise<ExtractJob> =>
  eventually(
    () => warehouse.getExtract(job, job),
    ({ state }) => state === 'succeeded' || state === 'failed',
  );

const stagedNames = async (jobId: string): Promise<string[]> => {
  const [files] = await storage.bucket(staging).getFiles({ prefix: `${jobId}/` });
  return files.map(({ name }) => name);
};

describe('a table', () => {
  test('is described with its type, its location in upper case and its fields as the API gives them', async () => {
    const ref = await createTable('described');
    expect(await warehouse.describeTable(ref)).toEqual({ type: 'TABLE', location, fields });
  });

  test('that is a view is described as one', async () => {
    await bigquery.dataset('data_platform').createTable('a_view', { view: { query: 'SELECT 1', useLegacySql: false } });
    const described = await warehouse.describeTable({ dataset, table: parseTableName('a_view') });
    expect(described.type).toBe('VIEW');
  });

  test('that is missing is a TableMissing, which names it', async () => {
    const missing = { type: 'TableMissing', nonRetryable: true };
    await expect(warehouse.describeTable({ dataset, table: parseTableName('nowhere') })).rejects.toMatchObject({
      ...missing,
      message: expect.stringContaining(`[table=${dataset}.nowhere]`) as string,
    });
    const elsewhere = { dataset: parseDataset(`${project}.nowhere`), table: parseTableName('companies') };
    await expect(warehouse.describeTable(elsewhere)).rejects.toMatchObject(missing);
  });
});

describe('an extract', () => {
  test('is pending or running, then succeeded with the count of its shards, which are there', async () => {
    const job = request(await createTable('extracted'), 'extracted-1');
    expect(await warehouse.insertExtract(job)).toBe('inserted');
    expect((await warehouse.getExtract(job, job)).state).toMatch(/^(pending|running)$/);
    expect(await ended(job)).toEqual({ state: 'succeeded', shardCount: 2 });
    expect(await stagedNames('extracted-1')).toEqual([
      'extracted-1/extracted_000000000000.ndjson.gz',
      'extracted-1/extracted_000000000001.ndjson.gz',
    ]);
  });

  test('that is inserted twice is one job, while it runs and after it', async () => {
    const job = request(await createTable('twice'), 'twice-1');
    expect(await warehouse.insertExtract(job)).toBe('inserted');
    expect(await warehouse.insertExtract(job)).toBe('already exists');
    expect(await ended(job)).toMatchObject({ state: 'succeeded' });
    expect(await warehouse.insertExtract(job)).toBe('already exists');
    expect(await ended(job)).toMatchObject({ state: 'succeeded' });
  });

  test('reads the table as of the snapshot', async () => {
    const ref = await createTable('snapshot');
    const job = request(ref, 'snapshot-1');
    await eventually(
      async () => Date.now(),
      (now) => now > job.snapshotMs,
    );
    await bigquery
      .dataset('data_platform')
      .table('snapshot')
      .insert([{ id: 'later' }]);
    await warehouse.insertExtract(job);
    expect(await ended(job)).toEqual({ state: 'succeeded', shardCount: 2 });
  });

  test('of an id that no job has, or has in another location, is unknown', async () => {
    const job = request(await createTable('located'), 'located-1');
    await warehouse.insertExtract(job);
    expect(await warehouse.getExtract({ ...job, location: 'US' }, job)).toEqual({ state: 'unknown' });
    expect(await warehouse.getExtract({ ...job, jobId: 'nobody' }, job)).toEqual({ state: 'unknown' });
    await ended(job);
  });

  test('that is cancelled while it is under way ends as stopped, which is a fault that passes', async () => {
    const job = request(await createTable('cancelled'), 'cancelled-1');
    await warehouse.insertExtract(job);
    await warehouse.cancelExtract(job, job);
    const failed = await ended(job);
    expect(failed).toMatchObject({ state: 'failed', reason: 'stopped' });
    expect(warehouseFailure(failed, job.dataset, job.table)).toMatchObject({ type: 'Transient', nonRetryable: false });
    expect(await stagedNames('cancelled-1')).toEqual([]);
  });

  test('that is unknown, or done, is left as it is by a cancel', async () => {
    const job = request(await createTable('done'), 'done-1');
    await expect(warehouse.cancelExtract(job, job)).resolves.toBeUndefined();
    expect(await warehouse.getExtract(job, job)).toEqual({ state: 'unknown' });
    await warehouse.insertExtract(job);
    await ended(job);
    await expect(warehouse.cancelExtract(job, job)).resolves.toBeUndefined();
    expect(await warehouse.getExtract(job, job)).toEqual({ state: 'succeeded', shardCount: 2 });
  });
});

describe('a job that failed says why, and the reason has a name of ours', () => {
  test('SnapshotExpired, where the table did not exist at the instant', async () => {
    const job = { ...request(await createTable('too_young'), 'too-young-1'), snapshotMs: Date.now() - 3_600_000 };
    await warehouse.insertExtract(job);
    const failed = await ended(job);
    expect(failed).toMatchObject({ state: 'failed', reason: 'invalid' });
    expect(warehouseFailure(failed, job.dataset, job.table)).toMatchObject({ type: 'SnapshotExpired' });
  });

  test('ExtractRefused, where it is a view', async () => {
    await bigquery.dataset('data_platform').createTable('view_2', { view: { query: 'SELECT 1', useLegacySql: false } });
    const job = request({ dataset, table: parseTableName('view_2') }, 'view-1');
    await warehouse.insertExtract(job);
    expect(warehouseFailure(await ended(job), job.dataset, job.table)).toMatchObject({ type: 'ExtractRefused' });
  });

  test('TableMissing, where the table went after it was described', async () => {
    const job = request({ dataset, table: parseTableName('gone') }, 'gone-1');
    await warehouse.insertExtract(job);
    expect(warehouseFailure(await ended(job), job.dataset, job.table)).toMatchObject({ type: 'TableMissing' });
  });
});

test('a refusal of BigQuery is a WarehouseAccessDenied in every method', async () => {
  const message = 'Access Denied: Table vendor-prod:data_platform.companies';
  const body = { error: { code: 403, message, errors: [{ domain: 'global', reason: 'accessDenied', message }] } };
  const refusing = http.createServer((asked, response) => {
    asked.resume().on('end', () => {
      response.writeHead(403, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    });
  });
  await new Promise<void>((resolve) => refusing.listen(0, '127.0.0.1', resolve));
  try {
    const { port } = refusing.address() as AddressInfo;
    const refused = new BigQueryWarehouse(createBigQuery({ bigquery: `http://127.0.0.1:${port}` }, 'vendor-jobs'));
    const ref = { dataset, table: parseTableName('companies') };
    const job = request(ref, 'refused-1');
    const denied = {
      type: 'WarehouseAccessDenied',
      nonRetryable: true,
      message: expect.stringContaining(message) as string,
    };
    await expect(refused.describeTable(ref)).rejects.toMatchObject(denied);
    await expect(refused.insertExtract(job)).rejects.toMatchObject(denied);
    await expect(refused.getExtract(job, ref)).rejects.toMatchObject(denied);
    await expect(refused.cancelExtract(job, ref)).rejects.toMatchObject(denied);
  } finally {
    refusing.closeAllConnections();
    await new Promise((resolve) => refusing.close(resolve));
  }
});

test('a server that takes a request and never answers is given up in every method, to be tried again', async () => {
  const silent = await SilentServer.start();
  try {
    const unanswered = new BigQueryWarehouse(createBigQuery({ bigquery: silent.url }, 'vendor-jobs'), 200);
    const ref = { dataset, table: parseTableName('companies') };
    const job = request(ref, 'unanswered-1');
    const givenUp = { nonRetryable: false, message: expect.stringContaining('no answer within 0.2 s') as string };
    await expect(unanswered.describeTable(ref)).rejects.toMatchObject(givenUp);
    await expect(unanswered.insertExtract(job)).rejects.toMatchObject(givenUp);
    await expect(unanswered.getExtract(job, ref)).rejects.toMatchObject(givenUp);
    await expect(unanswered.cancelExtract(job, ref)).rejects.toMatchObject(givenUp);
  } finally {
    await silent.stop();
  }
});
