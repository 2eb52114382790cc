/** What end-to-end tests share: a sandbox with made-up tables, a proxy before each service. */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { Client, Connection } from '@temporalio/client';
import type { Running } from '../../sandbox/processes';
import { loadBucket, location, project, Sandbox } from '../../sandbox/sandbox';
import { seedWarehouse } from '../../sandbox/warehouse-seed';
import { Destinations, isUnanswered, type DestinationReport } from '../../src/client/destinations';
import { RequestFailed } from '../../src/client/request-failed';
import type { DumpOutcome } from '../../src/contract';
import { eventually } from '../eventually';
import { FaultProxy } from './fault-proxy';

export const datasetId = 'data_platform';
export const dataset = `${project}.${datasetId}`;

/** A time to check access at each day, at which no round begins by itself while a test runs. */
export const twelveHoursAhead = new Date(Date.now() + 12 * 3_600_000)
  .toISOString()
  .slice('yyyy-mm-ddT'.length)
  .slice(0, 5);

/** Each stands between the worker and one service. */
export interface Proxies {
  readonly aws: FaultProxy;
  readonly storage: FaultProxy;
  readonly bigquery: FaultProxy;
}

interface Data {
  readonly scale: number;
  /** Rows to a shard. */
  readonly shardRows: number;
  readonly emptyTable?: string;
  /** Rows to a shard of tables that are to have more, or fewer, shards. */
  readonly shardRowsOf?: Readonly<Record<string, number>>;
}

export class EndToEnd {
  private constructor(
    readonly sandbox: Sandbox,
    readonly proxies: Proxies,
    readonly client: Client,
    private readonly connection: Connection,
    private readonly parquetFolder: string,
  ) {}

  static async start({ scale, shardRows, emptyTable, shardRowsOf }: Data): Promise<EndToEnd> {
    const parquetFolder = await mkdtemp(path.join(os.tmpdir(), 'seeded-'));
    const sandbox = await Sandbox.start({ ports: 'free', say: () => {}, shardRows, jobDelayMs: 400 });
    const before = (variable: string): Promise<FaultProxy> => FaultProxy.start(sandbox.environment[variable] ?? '');
    const proxies: Proxies = {
      aws: await before('AWS_ENDPOINT_URL'),
      storage: await before('STORAGE_ENDPOINT'),
      bigquery: await before('BIGQUERY_ENDPOINT'),
    };
    const connection = await Connection.connect({ address: sandbox.environment['TEMPORAL_ADDRESS'] ?? '' });
    const { bigquery, storage } = sandbox;
    await seedWarehouse(
      {
        ...{ bigquery, storage, dataset: datasetId, location, loadBucket, seed: 7, scale, parquetFolder, emptyTable },
        ...(shardRowsOf === undefined ? {} : { shardRows: shardRowsOf }),
      },
      () => {},
    );
    return new EndToEnd(sandbox, proxies, new Client({ connection }), connection, parquetFolder);
  }

  get destinations(): Destinations {
    return new Destinations(this.client);
  }

  /** The rows that a table was made with. */
  parquetFile(table: string): string {
    return path.join(this.parquetFolder, `${table}.parquet`);
  }

  startWorker(
    environment: Readonly<Record<string, string>> = {},
    queues?: string,
    program?: string,
    copyProcesses?: number,
  ): Promise<Running> {
    const { aws, storage, bigquery } = this.proxies;
    const endpoints = { AWS_ENDPOINT_URL: aws.url, STORAGE_ENDPOINT: storage.url, BIGQUERY_ENDPOINT: bigquery.url };
    // Whatever the time of day, a test sees what it does itself.
    return this.sandbox.startWorker(
      { ...endpoints, ACCESS_CHECK_AT: 'off', ...environment },
      queues,
      program,
      copyProcesses,
    );
  }

  /** The workflow's id. */
  async dumpAtWork(accountId: string): Promise<string> {
    const read = async (): Promise<string | undefined> =>
      (await this.destinations.status(accountId)).destination.currentDump?.workflowId;
    const found = await eventually(read, (workflowId) => workflowId !== undefined);
    if (found === undefined) throw new Error(`Account ${accountId} has no dump at work`);
    return found;
  }

  async ended(accountId: string, runId: string, timeoutMs = 110_000): Promise<DumpOutcome> {
    const outcomeOf = (report?: DestinationReport): DumpOutcome | undefined =>
      report?.destination.recentDumps.find((dump) => dump.runId === runId);
    const read = async (): Promise<DumpOutcome | undefined> => outcomeOf(await this.statusIfAnswered(accountId));
    const outcome = await eventually(read, (found) => found !== undefined, timeoutMs);
    if (outcome === undefined) throw new Error(`Run ${runId} has no outcome`);
    return outcome;
  }

  /** Temporal asks a worker that was killed for ten seconds before it asks another: on a busy machine that is too long. */
  private async statusIfAnswered(accountId: string): Promise<DestinationReport | undefined> {
    try {
      return await this.destinations.status(accountId);
    } catch (error) {
      // The dump's query, or the destination's before it.
      if (error instanceof RequestFailed || isUnanswered(error)) return undefined;
      throw error;
    }
  }

  /** Until Temporal's visibility store, which is a moment behind, has so many workflows of this query. */
  async listed(query: string, count: number): Promise<void> {
    const read = async (): Promise<number> => (await this.client.workflow.count(query)).count;
    await eventually(read, (found) => found === count);
  }

  async stop(): Promise<void> {
    await this.connection.close();
    await Promise.all(Object.values(this.proxies).map((proxy: FaultProxy) => proxy.stop()));
    await this.sandbox.stop();
    await rm(this.parquetFolder, { recursive: true });
  }
}
