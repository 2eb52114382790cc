import type { BigQuery, Job } from '@google-cloud/bigquery';
import type { DatasetName, TableName } from '../contract';
import type { SchemaField } from '../dump/schema';
import { warehouseFailure } from '../failures';
import { googleRequestTimeoutMs } from '../timing';
import { answeredWithin } from './google-clients';

export interface TableRef {
  readonly dataset: DatasetName;
  readonly table: TableName;
}

export interface TableDescription {
  /** `TABLE`, `VIEW`, `MATERIALIZED_VIEW`, `EXTERNAL`, `SNAPSHOT`, `CLONE` (BigQuery REST reference, Table.type). */
  readonly type: string;
  /** Where the dataset lives, upper case: `EU`, `US`, `EUROPE-WEST1` … */
  readonly location: string;
  readonly fields: readonly SchemaField[];
}

/** An extract job is looked up with its location. */
export interface ExtractJobRef {
  readonly jobId: string;
  readonly location: string;
}

export interface ExtractRequest extends ExtractJobRef, TableRef {
  /** The table is read as it was then (snapshot decorator). Epoch milliseconds. */
  readonly snapshotMs: number;
  /** `gs://bucket/prefix*suffix`: BigQuery replaces `*` by the shard's number. */
  readonly destinationUri: string;
}

export type ExtractJob =
  | { readonly state: 'unknown' }
  | { readonly state: 'pending' | 'running' }
  | { readonly state: 'succeeded'; readonly shardCount: number }
  | { readonly state: 'failed'; readonly reason: string; readonly message: string };

/** BigQuery, as far as a dump needs it. Every method throws ApplicationFailures of named types. */
export interface Warehouse {
  describeTable(ref: TableRef): Promise<TableDescription>;
  /** `already exists`: a job of this id was inserted before; it is the one to wait for. */
  insertExtract(request: ExtractRequest): Promise<'inserted' | 'already exists'>;
  getExtract(job: ExtractJobRef, ref: TableRef): Promise<ExtractJob>;
  /** A job that is done already, or unknown, is left as it is. */
  cancelExtract(job: ExtractJobRef, ref: TableRef): Promise<void>;
}

export class BigQueryWarehouse implements Warehouse {
  constructor(
    private readonly bigquery: BigQuery,
    private readonly requestTimeoutMs = googleRequestTimeoutMs,
  ) {}

  async describeTable({ dataset, table }: TableRef): Promise<TableDescription> {
    const { projectId, datasetId } = datasetParts(dataset);
    try {
      const [metadata] = await this.answered(
        this.bigquery.dataset(datasetId, { projectId }).table(table).getMetadata(),
      );
      const { type = 'TABLE', location = '', schema } = metadata as ApiTable;
      return { type, location: location.toUpperCase(), fields: schema?.fields ?? [] };
    } catch (error) {
      throw warehouseFailure(error, dataset, table);
    }
  }

  async insertExtract(request: ExtractRequest): Promise<'inserted' | 'already exists'> {
    const { dataset, table } = request;
    const { projectId, datasetId } = datasetParts(dataset);
    try {
      const insertion = this.bigquery.createJob({
        jobId: request.jobId,
        location: request.location,
        configuration: {
          extract: {
            sourceTable: { projectId, datasetId, tableId: `${table}@${request.snapshotMs}` },
            destinationUris: [request.destinationUri],
            destinationFormat: 'NEWLINE_DELIMITED_JSON',
            compression: 'GZIP',
          },
        },
      });
      await this.answered(insertion);
      return 'inserted';
    } catch (error) {
      if (hasCode(error, 409)) return 'already exists';
      throw warehouseFailure(error, dataset, table);
    }
  }

  async getExtract(job: ExtractJobRef, { dataset, table }: TableRef): Promise<ExtractJob> {
    try {
      const [metadata] = await this.answered(this.job(job).getMetadata());
      return extractJob(metadata as ApiJob);
    } catch (error) {
      if (isNotFound(error)) return { state: 'unknown' };
      throw warehouseFailure(error, dataset, table);
    }
  }

  async cancelExtract(job: ExtractJobRef, { dataset, table }: TableRef): Promise<void> {
    try {
      await this.answered(this.job(job).cancel());
    } catch (error) {
      if (!isNotFound(error)) throw warehouseFailure(error, dataset, table);
    }
  }

  private answered<T>(request: Promise<T>): Promise<T> {
    return answeredWithin(this.requestTimeoutMs, request);
  }

  private job({ jobId, location }: ExtractJobRef): Job {
    return this.bigquery.job(jobId, { location });
  }
}

const hasCode = (error: unknown, code: number): boolean => Number((error as { code?: unknown }).code) === code;
const isNotFound = (error: unknown): boolean => hasCode(error, 404);

/** The part of the REST API's Table that is read here. */
interface ApiTable {
  readonly type?: string;
  readonly location?: string;
  readonly schema?: { readonly fields?: readonly SchemaField[] };
}

/** The part of the REST API's Job that is read here. */
interface ApiJob {
  readonly status?: { readonly state?: string; readonly errorResult?: { reason?: string; message?: string } };
  readonly statistics?: { readonly extract?: { readonly destinationUriFileCounts?: readonly string[] } };
}

function extractJob({ status, statistics }: ApiJob): ExtractJob {
  if (status?.state !== 'DONE') return { state: status?.state === 'RUNNING' ? 'running' : 'pending' };
  if (status.errorResult !== undefined) {
    return {
      state: 'failed',
      reason: status.errorResult.reason ?? '',
      message: status.errorResult.message ?? 'no reason given',
    };
  }
  const [shardCount] = statistics?.extract?.destinationUriFileCounts ?? [];
  if (shardCount === undefined) throw new Error('A finished extract job has no destinationUriFileCounts');
  return { state: 'succeeded', shardCount: Number(shardCount) };
}

function datasetParts(dataset: DatasetName): { projectId: string; datasetId: string } {
  const dot = dataset.lastIndexOf('.');
  return { projectId: dataset.slice(0, dot), datasetId: dataset.slice(dot + 1) };
}
