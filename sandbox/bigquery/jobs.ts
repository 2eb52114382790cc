/** Extract and load jobs: PENDING, RUNNING, DONE, with ids that the caller chooses and that are never used twice. */
import { randomUUID } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { createGzip } from 'node:zlib';
import type { DuckDBResult } from '@duckdb/node-api';
import { ApiError, duplicate, invalid, notFound, notImplemented } from './api-error';
import type { Catalog, Table, TableReference } from './catalog';
import { literal } from './columns';

interface ExtractConfiguration {
  readonly sourceTable: TableReference;
  readonly destinationUris: readonly string[];
  readonly destinationFormat?: string;
  readonly compression?: string;
}

interface LoadConfiguration {
  readonly sourceUris: readonly string[];
  readonly destinationTable: TableReference;
  readonly sourceFormat?: string;
  readonly writeDisposition?: string;
}

export interface JobRequest {
  readonly jobReference?: { readonly jobId?: string; readonly location?: string };
  readonly configuration?: { readonly extract?: ExtractConfiguration; readonly load?: LoadConfiguration };
}

interface Job {
  readonly kind: 'bigquery#job';
  readonly id: string;
  readonly jobReference: { readonly projectId: string; readonly jobId: string; readonly location: string };
  readonly configuration: NonNullable<JobRequest['configuration']>;
  status: { state: 'PENDING' | 'RUNNING' | 'DONE'; errorResult?: ErrorProto; errors?: ErrorProto[] };
  readonly statistics: Record<string, unknown>;
}

interface ErrorProto {
  readonly reason: string;
  readonly message: string;
}

export interface JobsOptions {
  /** `http://host:port` of the Cloud Storage stand-in. */
  readonly storageUrl: string;
  /** Rows to a shard, unless the table's label {@link shardRowsLabel} says otherwise: BigQuery cuts by a gigabyte. */
  readonly shardRows: number;
  /** How long a job is PENDING, and again RUNNING at the least. */
  readonly delayMs: number;
}

/** A table's label that sets how many rows its shards have, so that small data can have many shards. */
export const shardRowsLabel = 'sandbox-shard-rows';

export class Jobs {
  private readonly cancelled = new Set<string>();
  private readonly running = new Set<Promise<void>>();
  private readonly stopping = new AbortController();

  constructor(
    private readonly catalog: Catalog,
    private readonly options: JobsOptions,
  ) {}

  /** Jobs that were under way when the server stopped are gone; BigQuery would call that a backend error. */
  async recover(): Promise<void> {
    for (const job of await this.catalog.loadAll<Job>('job')) {
      if (job.status.state !== 'DONE')
        await this.end(job, new ApiError(503, 'backendError', 'The sandbox was restarted'));
    }
  }

  /** Leaves the jobs under way as they are, as a crash would; {@link recover} finds them. */
  async stop(): Promise<void> {
    this.stopping.abort();
    await Promise.allSettled(this.running);
  }

  async insert(projectId: string, { jobReference = {}, configuration = {} }: JobRequest): Promise<Job> {
    const { jobId = randomUUID(), location = 'US' } = jobReference;
    if (!/^[\w-]{1,1024}$/.test(jobId)) throw invalid(`Invalid job ID "${jobId}"`);
    if (configuration.extract === undefined && configuration.load === undefined) {
      throw notImplemented(`jobs of this kind: ${Object.keys(configuration).join(', ')}`);
    }
    const id = `${projectId}:${location}.${jobId}`;
    if ((await this.catalog.load('job', id)) !== undefined) throw duplicate(`Job ${id}`);
    const job: Job = {
      kind: 'bigquery#job',
      id,
      jobReference: { projectId, jobId, location },
      configuration,
      status: { state: 'PENDING' },
      statistics: { creationTime: String(Date.now()) },
    };
    await this.catalog.save('job', id, job);
    const run = this.run(job).finally(() => this.running.delete(run));
    this.running.add(run);
    return job;
  }

  async get(projectId: string, jobId: string, location: string): Promise<Job> {
    const id = `${projectId}:${location}.${jobId}`;
    const job = await this.catalog.load<Job>('job', id);
    if (job === undefined) throw notFound(`Job ${id}`);
    return job;
  }

  async cancel(projectId: string, jobId: string, location: string): Promise<Job> {
    const job = await this.get(projectId, jobId, location);
    this.cancelled.add(job.id);
    return job;
  }

  private async run(job: Job): Promise<void> {
    try {
      await delay(this.options.delayMs, undefined, this.stopping);
      job.status = { state: 'RUNNING' };
      job.statistics['startTime'] = String(Date.now());
      await this.catalog.save('job', job.id, job);
      await delay(this.options.delayMs, undefined, this.stopping);
      this.refuseCancelled(job);
      const { extract, load } = job.configuration;
      if (extract !== undefined) job.statistics['extract'] = await this.extract(job, extract);
      if (load !== undefined) job.statistics['load'] = await this.load(job, load);
      await this.end(job);
    } catch (error) {
      await this.end(job, error);
    } finally {
      this.cancelled.delete(job.id);
    }
  }

  private async end(job: Job, error?: unknown): Promise<void> {
    if (this.stopping.signal.aborted) return;
    job.statistics['endTime'] = String(Date.now());
    job.status = { state: 'DONE' };
    if (error !== undefined) {
      const proto = errorProto(error);
      job.status = { state: 'DONE', errorResult: proto, errors: [proto] };
    }
    await this.catalog.save('job', job.id, job);
  }

  private refuseCancelled(job: Job): void {
    if (this.cancelled.has(job.id) || this.stopping.signal.aborted) {
      throw new ApiError(400, 'stopped', 'Job execution was cancelled: User requested cancellation');
    }
  }

  private async extract(job: Job, configuration: ExtractConfiguration): Promise<object> {
    const { sourceTable, destinationUris, destinationFormat, compression } = configuration;
    if (destinationFormat !== 'NEWLINE_DELIMITED_JSON' || compression !== 'GZIP') {
      throw notImplemented(
        `extracts of format ${destinationFormat ?? 'CSV'} with compression ${compression ?? 'NONE'}`,
      );
    }
    const { table, sql } = await this.catalog.rowsAsJson(sourceTable);
    const destinationUriFileCounts: string[] = [];
    for (const uri of destinationUris) {
      destinationUriFileCounts.push(String(await this.writeShards(job, uri, table, sql)));
    }
    return { destinationUriFileCounts };
  }

  /** At least one file, also of an empty table. */
  private async writeShards(job: Job, uri: string, table: Table, sql: string): Promise<number> {
    const { bucket, name } = parseUri(uri);
    if (!name.includes('*')) throw notImplemented('extracts to a URI without a wildcard');
    const shardRows = Number(table.labels[shardRowsLabel] ?? this.options.shardRows);
    const connection = await this.catalog.connect();
    try {
      const rows = rowsInChunks(await connection.stream(sql));
      let shard = 0;
      do {
        const file = name.replace('*', String(shard).padStart(12, '0'));
        await this.upload(bucket, file, gzipped(rows.take(shardRows)));
        shard++;
        this.refuseCancelled(job);
      } while (!(await rows.isAtEnd()));
      return shard;
    } finally {
      connection.disconnectSync();
    }
  }

  private async load(job: Job, configuration: LoadConfiguration): Promise<object> {
    const { sourceUris, destinationTable, sourceFormat, writeDisposition = 'WRITE_APPEND' } = configuration;
    if (sourceFormat !== 'PARQUET') throw notImplemented(`loads of format ${sourceFormat ?? 'CSV'}`);
    if (writeDisposition !== 'WRITE_APPEND' && writeDisposition !== 'WRITE_TRUNCATE') {
      throw notImplemented(`loads with ${writeDisposition}`);
    }
    const [uri, ...more] = sourceUris;
    if (uri === undefined || more.length > 0) throw notImplemented('loads of other than one file');
    const table = await this.catalog.table(destinationTable);
    const folder = await mkdtemp(path.join(os.tmpdir(), 'bigquery-sandbox-'));
    try {
      const file = path.join(folder, 'load.parquet');
      await this.download(uri, file);
      this.refuseCancelled(job);
      const truncate = writeDisposition === 'WRITE_TRUNCATE';
      const outputRows = await this.catalog.insert(table, `read_parquet(${literal(file)})`, { truncate });
      return { outputRows: String(outputRows) };
    } finally {
      await rm(folder, { recursive: true });
    }
  }

  private async upload(bucket: string, name: string, body: Readable): Promise<void> {
    const url = `${this.options.storageUrl}/upload/storage/v1/b/${bucket}/o?uploadType=media&name=${encodeURIComponent(name)}`;
    const init = {
      method: 'POST',
      headers: { 'content-type': 'application/octet-stream' },
      body: Readable.toWeb(body),
      duplex: 'half',
    };
    const response = await fetch(url, init as RequestInit);
    await response.body?.cancel();
    if (!response.ok) throw storageError(response.status, `gs://${bucket}/${name}`);
  }

  private async download(uri: string, file: string): Promise<void> {
    const { bucket, name } = parseUri(uri);
    const response = await fetch(
      `${this.options.storageUrl}/storage/v1/b/${bucket}/o/${encodeURIComponent(name)}?alt=media`,
    );
    if (!response.ok || response.body === null) throw storageError(response.status, uri);
    await pipeline(Readable.fromWeb(response.body as never), createWriteStream(file));
  }
}

const storageError = (status: number, uri: string): ApiError =>
  status === 404
    ? notFound(`URI ${uri}`)
    : new ApiError(503, 'backendError', `Cloud Storage answered ${status}: ${uri}`);

function parseUri(uri: string): { bucket: string; name: string } {
  const [, bucket, name] = /^gs:\/\/([^/]+)\/(.+)$/.exec(uri) ?? [];
  if (bucket === undefined || name === undefined) throw invalid(`Invalid Google Storage path '${uri}'`);
  return { bucket, name };
}

function errorProto(error: unknown): ErrorProto {
  if (error instanceof ApiError) return { reason: error.reason, message: error.message };
  console.error(error);
  return { reason: 'internalError', message: String(error) };
}

function gzipped(text: AsyncIterable<string>): Readable {
  const source = Readable.from(text);
  const gzip = createGzip();
  source.on('error', (error) => gzip.destroy(error));
  return source.pipe(gzip);
}

/** The lines of a query's single column, to be taken so many rows at a time. */
function rowsInChunks(result: DuckDBResult) {
  let buffered: readonly unknown[] = [];
  const isAtEnd = async (): Promise<boolean> => {
    if (buffered.length === 0) {
      const chunk = await result.fetchChunk();
      buffered = chunk === null || chunk.rowCount === 0 ? [] : chunk.getColumnValues(0);
    }
    return buffered.length === 0;
  };
  async function* take(rowCount: number): AsyncGenerator<string> {
    for (let left = rowCount; left > 0 && !(await isAtEnd());) {
      const rows = buffered.slice(0, left);
      buffered = buffered.slice(left);
      left -= rows.length;
      yield `${rows.join('\n')}\n`;
    }
  }
  return { isAtEnd, take };
}
