/** Stand-ins of our own ports, kept in maps. They record what was asked, in order, and can be told to fail. */
import { DefaultLogger } from '@temporalio/worker';
import { MockActivityEnvironment } from '@temporalio/testing';
import type { AssumedRole, TableName } from '../src/contract';
import { shardName } from '../src/dump/keys';
import { parseDestination } from '../src/dump/inputs';
import { failure, stagingFilesGone } from '../src/failures';
import type { ByteSource } from '../src/stores/byte-source';
import type { CustomerBucket, CustomerBuckets, Delivery, PutObject, Validity } from '../src/stores/customer-bucket';
import type { ByteSink } from '../src/stores/http/connection';
import type { StagedFile, StagingBuckets } from '../src/stores/staging-bucket';
import type { ExtractJob, ExtractJobRef, ExtractRequest, TableDescription, Warehouse } from '../src/stores/warehouse';

/** By default as long as `hello`, and of its checksum. Sends each of `pieces`, then ends, or breaks where an error stands among them, or hangs where `undefined` does. */
export class FakeBytes implements ByteSource {
  isDestroyed = false;

  constructor(
    private readonly pieces: readonly (string | Error | undefined)[],
    readonly crc32c = 'mnG7TA==',
    readonly sizeBytes = 5,
  ) {}

  sendTo(sink: ByteSink, ended: () => void, broken: (error: Error) => void): void {
    const send = ([next, ...rest]: readonly (string | Error | undefined)[], left: number): void => {
      if (left === 0) ended();
      else if (next instanceof Error) broken(next);
      else if (next !== undefined) sink.write(Buffer.from(next), () => send(rest, left - 1));
    };
    send(this.pieces, this.pieces.length);
  }

  destroy(): void {
    this.isDestroyed = true;
  }
}

/** All that a source sends. It is taken a piece at a time, and the source is destroyed in the end. */
export async function bytesOf(source: ByteSource): Promise<Buffer> {
  const pieces: Buffer[] = [];
  const sink: ByteSink = {
    write(bytes, sent) {
      pieces.push(Buffer.from(bytes));
      setImmediate(sent);
    },
  };
  try {
    await new Promise<void>((ended, broken) => source.sendTo(sink, ended, broken));
    return Buffer.concat(pieces);
  } finally {
    source.destroy();
  }
}

/** The settings of a customer who is connected with a path. */
export const exampleSettings = parseDestination({
  roleArn: 'arn:aws:iam::111122223333:role/dreamdata-data-platform',
  bucket: 'acme-dreamdata',
  path: 'exports/dreamdata',
});

type ActivityInfo = ConstructorParameters<typeof MockActivityEnvironment>[0];

/** Runs activities as the dump of account acc_7Hq2 that began at 2023-01-02T15:04 calls them. */
export function dumpEnvironment(info: ActivityInfo = {}): MockActivityEnvironment {
  const workflowExecution = { workflowId: 'dump/acc_7Hq2/2023-01-02T15:04', runId: 'test' };
  return new MockActivityEnvironment({ workflowExecution, ...info }, { logger: new DefaultLogger('ERROR') });
}

/** Jobs answer with a list of states, one each time they are asked for; the last one stays. */
export class FakeWarehouse implements Warehouse {
  readonly jobs = new Map<string, ExtractJob[]>();
  readonly inserted: ExtractRequest[] = [];
  readonly cancelled: ExtractJobRef[] = [];
  readonly askedIn = new Set<string>();
  description: TableDescription = { type: 'TABLE', location: 'EU', fields: [{ name: 'id', type: 'STRING' }] };
  /** What BigQuery does with a new job: returns the states that it goes through. */
  extract: (request: ExtractRequest) => ExtractJob[] = () => [{ state: 'succeeded', shardCount: 1 }];

  async describeTable(): Promise<TableDescription> {
    return this.description;
  }

  async insertExtract(request: ExtractRequest): Promise<'inserted' | 'already exists'> {
    if (this.jobs.has(request.jobId)) return 'already exists';
    this.inserted.push(request);
    this.jobs.set(request.jobId, this.extract(request));
    return 'inserted';
  }

  async getExtract({ jobId, location }: ExtractJobRef): Promise<ExtractJob> {
    this.askedIn.add(location);
    const states = this.jobs.get(jobId) ?? [];
    const [state = { state: 'unknown' }] = states;
    if (states.length > 1) states.shift();
    return state;
  }

  async cancelExtract(job: ExtractJobRef): Promise<void> {
    this.cancelled.push(job);
    this.jobs.set(job.jobId, [{ state: 'running' }, { state: 'failed', reason: 'stopped', message: 'Job cancelled' }]);
  }
}

/** Files by bucket, then by name. */
export class FakeStagingBuckets implements StagingBuckets {
  private readonly buckets = new Map<string, Map<string, { file: StagedFile; content: string }>>();

  constructor(...buckets: string[]) {
    for (const bucket of buckets) this.buckets.set(bucket, new Map());
  }

  /** What an extract job writes: shards `first …`, each with content of its own. */
  addShards(bucket: string, prefix: string, table: TableName, shards: readonly number[]): void {
    for (const shard of shards) this.add(bucket, `${prefix}${shardName(table, shard)}`, `rows of shard ${shard}`);
  }

  /** `sizeBytes` may be claimed, so that a test needs no gigabytes. */
  add(bucket: string, name: string, content: string, sizeBytes = content.length): void {
    this.filesOf(bucket).set(name, { file: { name, sizeBytes }, content });
  }

  names(bucket: string): string[] {
    return [...this.filesOf(bucket).keys()].toSorted();
  }

  async list(bucket: string, prefix: string): Promise<StagedFile[]> {
    return this.names(bucket)
      .filter((name) => name.startsWith(prefix))
      .flatMap((name) => this.filesOf(bucket).get(name)?.file ?? []);
  }

  async open(bucket: string, name: string): Promise<ByteSource> {
    const { content, file } = this.fileOf(bucket, name);
    return new FakeBytes([content], `crc32c of ${content}`, file.sizeBytes);
  }

  async readText(bucket: string, name: string): Promise<string> {
    return this.fileOf(bucket, name).content;
  }

  async writeTextOnce(bucket: string, name: string, text: string): Promise<void> {
    if (!this.filesOf(bucket).has(name)) this.add(bucket, name, text);
  }

  async deleteAll(bucket: string, prefix: string): Promise<void> {
    const files = this.filesOf(bucket);
    for (const { name } of await this.list(bucket, prefix)) files.delete(name);
  }

  private fileOf(bucket: string, name: string): { file: StagedFile; content: string } {
    const found = this.filesOf(bucket).get(name);
    if (found === undefined) throw stagingFilesGone(bucket, name);
    return found;
  }

  private filesOf(bucket: string): Map<string, { file: StagedFile; content: string }> {
    const files = this.buckets.get(bucket);
    if (files === undefined) throw failure('StagingBucketMissing', `No bucket ${bucket}.`, 'create it.');
    return files;
  }
}

interface StoredObject {
  readonly contentType: string;
  readonly content: string;
  readonly sizeBytes?: number;
  readonly crc32c?: string;
}

export class FakeCustomerBuckets implements CustomerBuckets {
  readonly objects = new Map<string, StoredObject>();
  readonly validities = new Map<string, Validity | undefined>();
  readonly deliveries: Delivery[] = [];
  /** Happens before an object is stored: may take its time, or throw. */
  beforePut: (key: string, signal: AbortSignal) => Promise<void> = async () => {};

  async proveAccess(delivery: Delivery): Promise<AssumedRole> {
    this.deliveries.push(delivery);
    return {
      assumedRoleArn: 'arn:aws:sts::111122223333:assumed-role/dreamdata-data-platform/session',
      awsAccountId: '111122223333',
      expiresAt: '2023-01-02T16:04:05.000Z',
    };
  }

  /** With which external ids beside the customer's the role lets us in. */
  openTo = new Set<string | undefined>();

  async letsIn(_delivery: Delivery, externalId: string | undefined): Promise<boolean> {
    return this.openTo.has(externalId) || (externalId !== undefined && this.openTo.has('any'));
  }

  open(delivery: Delivery): CustomerBucket {
    this.deliveries.push(delivery);
    return { put: (object, signal) => this.put(object, signal) };
  }

  private async put({ key, contentType, body, validity }: PutObject, signal: AbortSignal): Promise<void> {
    this.validities.set(key, validity);
    await this.beforePut(key, signal);
    if (typeof body === 'string') {
      this.objects.set(key, { contentType, content: body });
      return;
    }
    const source = await body.open();
    const bytes = await bytesOf(source).catch((error: unknown) => {
      throw body.readFailure(error);
    });
    const { sizeBytes, crc32c } = source;
    this.objects.set(key, { contentType, content: bytes.toString(), sizeBytes, crc32c });
  }
}
