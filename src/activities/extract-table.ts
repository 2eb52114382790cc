import { setTimeout as delay } from 'node:timers/promises';
import { cancellationDetails, log, sleep } from '@temporalio/activity';
import type { DatasetName, StagedTable, TableName } from '../contract';
import { extractJobId, extractStagingPrefix, extractUri, shardName, stagedSchemaName } from '../dump/keys';
import { schemaFile } from '../dump/schema';
import { extractFailure, failure, stagingFilesGone } from '../failures';
import type { StagedFile, StagingBuckets } from '../stores/staging-bucket';
import type { ExtractJob, ExtractRequest, TableDescription, TableRef, Warehouse } from '../stores/warehouse';
import { extractPollMs, heartbeatTimeoutMs } from '../timing';
import { heartbeating } from './heartbeat';
import { callingDump } from './identity';

export interface ExtractTableInput {
  readonly dataset: DatasetName;
  readonly table: TableName;
  /** The instant that the table is read at, epoch milliseconds. */
  readonly snapshotMs: number;
}

export interface ExtractTableDeps {
  readonly warehouse: Warehouse;
  readonly staging: StagingBuckets;
  /** Staging bucket by BigQuery location, upper case. */
  readonly stagingBucketByLocation: ReadonlyMap<string, string>;
}

interface Extraction extends ExtractRequest {
  readonly stagingBucket: string;
  readonly stagingPrefix: string;
}

/**
 * Extracts a table to the staging bucket of its location, as gzipped NDJSON shards, with its schema beside them. An
 * attempt that follows a crash finds the job of the attempt before and waits for that one.
 */
export const createExtractTable = ({ warehouse, staging, stagingBucketByLocation }: ExtractTableDeps) =>
  async function extractTable(input: ExtractTableInput): Promise<StagedTable> {
    const dump = callingDump();
    let current: { jobId: string; state: ExtractJob['state'] } | undefined;
    return heartbeating(
      () => current,
      async () => {
        const description = await describeExtractable(input);
        const stagingBucket = stagingBucketFor(description, input);
        // A failed job keeps its id for ever: the first number whose job has not failed is ours.
        for (let number = 1; ; number++) {
          const extraction = extractionNumber(number, stagingBucket, description);
          const job = await findOrStart(extraction, description);
          if (job.state === 'failed') continue;
          return await stagedBy(extraction, await endOf(extraction, job));
        }
      },
    );

    function extractionNumber(number: number, stagingBucket: string, { location }: TableDescription): Extraction {
      const stagingPrefix = extractStagingPrefix(dump.accountId, dump.folder, input.table, number);
      return {
        ...input,
        jobId: extractJobId(dump.accountId, dump.folder, input.table, number),
        location,
        stagingBucket,
        stagingPrefix,
        destinationUri: extractUri(stagingBucket, stagingPrefix, input.table),
      };
    }

    /** The schema is staged before its job exists: whoever finds the job finds the schema of that moment too. */
    async function findOrStart(extraction: Extraction, { fields }: TableDescription): Promise<ExtractJob> {
      const found = await warehouse.getExtract(extraction, input);
      if (found.state !== 'unknown') return found;
      const schemaName = stagedSchemaName(extraction.stagingPrefix);
      await staging.writeTextOnce(extraction.stagingBucket, schemaName, schemaFile(fields));
      await warehouse.insertExtract(extraction);
      return { state: 'pending' };
    }

    async function endOf(extraction: Extraction, started: ExtractJob): Promise<number> {
      let job = started;
      let pollMs: number = extractPollMs.first;
      try {
        while (job.state !== 'succeeded') {
          if (job.state === 'failed') throw extractFailure(job, input, extraction.stagingBucket);
          if (job.state === 'unknown') throw new Error(`BigQuery has forgotten the job ${extraction.jobId}`);
          current = { jobId: extraction.jobId, state: job.state };
          await sleep(pollMs);
          pollMs = Math.min(pollMs * extractPollMs.growth, extractPollMs.longest);
          job = await warehouse.getExtract(extraction, input);
        }
        return job.shardCount;
      } catch (error) {
        // Only a dump that is given up on needs its job no more; after a worker's shutdown the next attempt finds it.
        if (cancellationDetails()?.cancelRequested === true) await cancel(extraction).catch(leaveToItself);
        throw error;
      }
    }

    /** Waits a while for the job to be gone, so that it does not write into staging that is being cleared. */
    async function cancel(extraction: Extraction): Promise<void> {
      await warehouse.cancelExtract(extraction, input);
      const giveUpAtMs = Date.now() + heartbeatTimeoutMs;
      while (isUnderWay(await warehouse.getExtract(extraction, input)) && Date.now() < giveUpAtMs) {
        await delay(extractPollMs.first);
      }
    }

    /** What BigQuery says that it wrote must be there, every shard of it, before anything is copied. */
    async function stagedBy(extraction: Extraction, shardCount: number): Promise<StagedTable> {
      const { stagingBucket, stagingPrefix } = extraction;
      const files = await staging.list(stagingBucket, `${stagingPrefix}${input.table}_`);
      const tooLarge = files.find(({ sizeBytes }) => sizeBytes > putObjectBytesMax);
      if (tooLarge !== undefined) throw shardTooLarge(tooLarge);
      const names = new Set(files.map(({ name }) => name));
      for (let shard = 0; shard < shardCount; shard++) {
        const name = `${stagingPrefix}${shardName(input.table, shard)}`;
        if (!names.has(name)) throw stagingFilesGone(stagingBucket, name);
      }
      return {
        stagingBucket,
        stagingPrefix,
        shardCount,
        sizeBytes: files.reduce((sum, file) => sum + file.sizeBytes, 0),
      };
    }

    async function describeExtractable(ref: TableRef): Promise<TableDescription> {
      const description = await warehouse.describeTable(ref);
      if (extractableTypes.has(description.type)) return description;
      throw failure(
        'TableNotExtractable',
        `BigQuery extracts tables only, and this is a ${description.type} [table=${ref.dataset}.${ref.table}].`,
        'let the modelling run write a table of that name, or take it off the list of tables with connect.',
      );
    }

    function stagingBucketFor({ location }: TableDescription, { dataset }: TableRef): string {
      const bucket = stagingBucketByLocation.get(location);
      if (bucket !== undefined) return bucket;
      throw failure(
        'StagingLocationNotConfigured',
        `There is no staging bucket for BigQuery location ${location} [dataset=${dataset}].`,
        `add ${location}=<a bucket in that location> to the worker's setting STAGING_BUCKETS and start it again.`,
      );
    }
  };

/** S3 user guide, "Uploading objects": the most that a single PutObject takes. */
const putObjectBytesMax = 5 * 1024 ** 3;

const shardTooLarge = ({ name, sizeBytes }: StagedFile) =>
  failure(
    'ShardTooLarge',
    `A shard has ${sizeBytes} bytes and one PutObject takes ${putObjectBytesMax} [name=${name}].`,
    'shorten the rows of the table: BigQuery writes at most 1 GB of table data to a shard.',
  );

/** A job that cannot be cancelled ends by itself; what it stages is left to the lifecycle rule. */
const leaveToItself = (error: unknown): void => log.warn('An extract job could not be cancelled', { error });

/** BigQuery documentation, "Exporting table data": views and external tables cannot be extracted. */
const extractableTypes = new Set(['TABLE', 'SNAPSHOT', 'CLONE']);

const isUnderWay = ({ state }: ExtractJob): boolean => state === 'pending' || state === 'running';
