/** All of the sandbox: the stand-ins started and set up, and the environment that the program runs in. */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { BigQuery } from '@google-cloud/bigquery';
import type { Storage } from '@google-cloud/storage';
import type { AccountId, BucketName } from '../src/contract';
import { createBigQuery, createStorage, type GoogleEndpoints } from '../src/stores/google-clients';
import { CustomerAccount, setUpVendor, startAws } from './aws';
import { startCloudStorage } from './cloud-storage';
import { Part } from './part';
import { freePort, requireFreePort } from './ports';
import { answers, compiled, projectFolder, start, untilReady, type Running } from './processes';
import { givenTemporalAddress, startTemporalServer, type TemporalServer } from './temporal-server';

export interface SandboxOptions {
  /** `usual` are the ports that the programs are known by; `free` are whichever are. */
  readonly ports: 'usual' | 'free';
  readonly say: (line: string) => void;
  /** Of the BigQuery stand-in: rows to a shard, and how long its jobs are pending and running at the least. */
  readonly shardRows?: number;
  readonly jobDelayMs?: number;
}

const usualPorts = {
  temporal: { port: 7233, what: 'the Temporal server' },
  temporalUi: { port: 8233, what: 'the Temporal UI' },
  aws: { port: 4566, what: 'the AWS stand-in' },
  storage: { port: 4443, what: 'the Cloud Storage stand-in' },
  bigquery: { port: 9050, what: 'the BigQuery stand-in' },
} as const;

type Ports = Record<keyof typeof usualPorts, number>;

export const project = 'vendor-prod';
export const location = 'EU';
export const stagingBucket = 'vendor-staging-eu';
export const loadBucket = 'vendor-loads-eu';

/** The servers that a sandbox is made of, as its parts are called. */
interface Servers {
  readonly temporal: Part<TemporalServer>;
  readonly aws: Part<Running>;
  readonly storage: Part<Running>;
  readonly bigquery: Part<Running>;
}

export type ServerName = keyof Servers;

export class Sandbox {
  readonly bigquery: BigQuery;
  readonly storage: Storage;

  private constructor(
    private readonly servers: Servers,
    /** What the worker and the command line run with: the vendors' own variables, as in production. */
    readonly environment: Readonly<Record<string, string>>,
    google: GoogleEndpoints,
    private readonly awsUrl: string,
    /** In the order of stopping. */
    private readonly parts: { stop(): Promise<void> }[],
  ) {
    this.bigquery = createBigQuery(google, project);
    this.storage = createStorage(google, project);
  }

  static async start(options: SandboxOptions): Promise<Sandbox> {
    const ports = await choosePorts(options.ports);
    const folder = await mkdtemp(path.join(os.tmpdir(), 's3-destination-sandbox-'));
    const parts: { stop(): Promise<void> }[] = [{ stop: () => rm(folder, { recursive: true, force: true }) }];
    const part = async <T extends { stop(): Promise<void> }>(startServer: () => Promise<T>): Promise<Part<T>> => {
      const started = await Part.start(startServer);
      parts.unshift(started);
      return started;
    };
    const { say } = options;
    try {
      const temporalPorts = { port: ports.temporal, uiPort: ports.temporalUi };
      const servers: Servers = {
        temporal: await part(() =>
          startTemporalServer({ ...temporalPorts, databaseFile: path.join(folder, 'temporal.db') }, say),
        ),
        aws: await part(() => startAws(ports.aws, say, path.join(folder, 'aws'))),
        storage: await part(() =>
          startCloudStorage({ port: ports.storage, folder: path.join(folder, 'storage'), say }),
        ),
        bigquery: await part(() => startBigQuery(ports, path.join(folder, 'bigquery.db'), options)),
      };

      const awsUrl = `http://127.0.0.1:${ports.aws}`;
      const google = {
        bigquery: `http://127.0.0.1:${ports.bigquery}`,
        storage: `http://127.0.0.1:${ports.storage}`,
      };
      const worker = await setUpVendor(awsUrl);
      const environment = {
        ...servers.temporal.running.environment,
        AWS_ACCESS_KEY_ID: worker.accessKeyId,
        AWS_SECRET_ACCESS_KEY: worker.secretAccessKey,
        AWS_REGION: 'us-east-1',
        AWS_ENDPOINT_URL: awsUrl,
        S3_FORCE_PATH_STYLE: 'true',
        GOOGLE_CLOUD_PROJECT: project,
        BIGQUERY_ENDPOINT: google.bigquery,
        STORAGE_ENDPOINT: google.storage,
        STAGING_BUCKETS: `${location}=${stagingBucket}`,
      };
      const sandbox = new Sandbox(servers, environment, google, awsUrl, parts);
      await sandbox.storage.createBucket(stagingBucket, { location });
      await sandbox.storage.createBucket(loadBucket, { location });
      return sandbox;
    } catch (error) {
      await stopAll(parts);
      throw error;
    }
  }

  get temporal(): TemporalServer {
    return this.servers.temporal.running;
  }

  /**
   * Stops a server and starts it again, with what it had kept on disk. The AWS stand-in keeps roles and objects and forgets
   * sessions; the BigQuery stand-in fails the jobs that were under way.
   */
  async restart(server: ServerName, whileDown: () => Promise<void> = async () => {}): Promise<void> {
    await this.servers[server].restart(whileDown);
  }

  /** A customer who has followed the guide. */
  async addCustomer(
    accountId: AccountId,
    bucket: BucketName,
    names: { roleName?: string; region?: string } = {},
  ): Promise<CustomerAccount> {
    const customer = new CustomerAccount({ endpoint: this.awsUrl, accountId, bucket, ...names });
    await customer.followGuide();
    return customer;
  }

  /**
   * A worker of its own process, as in production; `program` is the folder of another build. Ready when it polls. Without
   * `copyProcesses` it is one process, which copies too: killing it kills all.
   */
  async startWorker(
    environment: Readonly<Record<string, string>> = {},
    queues = 'all',
    program = projectFolder,
    copyProcesses = 0,
  ): Promise<Running> {
    const worker = path.join(program, 'lib', 'src', 'worker.js');
    const running = start(
      'The worker',
      process.execPath,
      [worker, '--queues', queues, '--copy-processes', String(copyProcesses)],
      {
        ...this.environment,
        ...environment,
      },
    );
    this.parts.unshift(running);
    const copying = queues === 'control' ? 0 : Math.max(copyProcesses, 1);
    // One for the workflows and light activities, one that waits for extracts.
    const workers = (queues === 'copy' ? 0 : 2) + copying;
    await untilReady(running, async () => (running.output().match(/RUNNING/g) ?? []).length >= workers);
    return running;
  }

  /** What is staged, by name. */
  async staged(): Promise<string[]> {
    const [files] = await this.storage.bucket(stagingBucket).getFiles();
    return files.map(({ name }) => name);
  }

  async stop(): Promise<void> {
    await stopAll(this.parts);
  }
}

async function stopAll(parts: readonly { stop(): Promise<void> }[]): Promise<void> {
  for (const part of parts) await part.stop();
}

async function choosePorts(which: SandboxOptions['ports']): Promise<Ports> {
  const choose = async (name: keyof Ports): Promise<number> => {
    const { port, what } = usualPorts[name];
    if (name.startsWith('temporal') && givenTemporalAddress() !== undefined) return port;
    return which === 'free' ? freePort() : requireFreePort(port, what);
  };
  return {
    temporal: await choose('temporal'),
    temporalUi: await choose('temporalUi'),
    aws: await choose('aws'),
    storage: await choose('storage'),
    bigquery: await choose('bigquery'),
  };
}

async function startBigQuery(ports: Ports, databaseFile: string, options: SandboxOptions): Promise<Running> {
  const args = [
    ['--port', String(ports.bigquery)],
    ['--storage-url', `http://127.0.0.1:${ports.storage}`],
    ['--database', databaseFile],
    options.shardRows === undefined ? [] : ['--shard-rows', String(options.shardRows)],
    options.jobDelayMs === undefined ? [] : ['--delay-ms', String(options.jobDelayMs)],
  ].flat();
  const running = start(
    'The BigQuery stand-in',
    process.execPath,
    [compiled('sandbox', 'bigquery', 'main.js'), ...args],
    {},
  );
  await untilReady(running, answers(`http://127.0.0.1:${ports.bigquery}/projects/none/datasets/none`));
  return running;
}
