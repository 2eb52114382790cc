/** The services of a dump, in memory, behind the ports that the worker's activities know. They say how long they were busy. */
import { crc32 } from 'node:zlib';
import type { AssumedRole } from '../../src/contract';
import type { Receipt } from '../../src/dump/receipt';
import { stagingFilesGone } from '../../src/failures';
import type { ByteSource } from '../../src/stores/byte-source';
import type { CustomerBucket, CustomerBuckets, Delivery, PutObject } from '../../src/stores/customer-bucket';
import type { ByteSink } from '../../src/stores/http/connection';
import type { StagedFile, StagingBuckets } from '../../src/stores/staging-bucket';
import type {
  ExtractJob,
  ExtractJobRef,
  ExtractRequest,
  TableDescription,
  Warehouse,
} from '../../src/stores/warehouse';
import { nowMs, type Calls } from './calls';
import { faultsOfReceipt } from './delivered';
import { extractJobTakesMs, type Services } from './services';

export const location = 'EU';

interface Job {
  readonly doneAtMs: number;
  readonly request: ExtractRequest;
}

/** Jobs that write `shardsPerTable` shards when their time is over. */
export class MemoryWarehouse implements Warehouse {
  private readonly jobs = new Map<string, Job>();
  private readonly written = new Set<string>();

  constructor(
    private readonly staging: MemoryStagingBuckets,
    private readonly services: Services,
    private readonly calls: Calls,
  ) {}

  describeTable(): Promise<TableDescription> {
    return this.request(() => ({ type: 'TABLE', location, fields: [{ name: 'id', type: 'STRING' }] }));
  }

  insertExtract(request: ExtractRequest): Promise<'inserted' | 'already exists'> {
    return this.request(() => {
      if (this.jobs.has(request.jobId)) return 'already exists';
      const fromMs = nowMs();
      const doneAtMs = fromMs + extractJobTakesMs(this.services.times, this.jobs.size);
      this.jobs.set(request.jobId, { doneAtMs, request });
      this.calls.job('BigQuery', { fromMs, toMs: doneAtMs });
      return 'inserted';
    });
  }

  getExtract({ jobId }: ExtractJobRef): Promise<ExtractJob> {
    return this.request(() => {
      const job = this.jobs.get(jobId);
      if (job === undefined) return { state: 'unknown' };
      if (nowMs() < job.doneAtMs) return { state: 'running' };
      this.writeShards(job.request);
      return { state: 'succeeded', shardCount: this.services.shardsPerTable };
    });
  }

  async cancelExtract(): Promise<void> {
    throw new Error('No dump of the bench is cancelled.');
  }

  private writeShards({ jobId, destinationUri }: ExtractRequest): void {
    if (this.written.has(jobId)) return;
    this.written.add(jobId);
    const [, bucket = '', name = ''] = /^gs:\/\/([^/]+)\/(.+)$/.exec(destinationUri) ?? [];
    for (let shard = 0; shard < this.services.shardsPerTable; shard++) {
      const shardName = name.replace('*', String(shard).padStart(12, '0'));
      this.staging.write(bucket, shardName, `rows of ${shardName}`);
    }
  }

  private request<T>(work: () => T): Promise<T> {
    return this.calls.request('BigQuery', this.services.times.bigQueryMs, work);
  }
}

interface Content {
  readonly file: StagedFile;
  readonly text: string;
}

export class MemoryStagingBuckets implements StagingBuckets {
  /** Files by name, by the folder that they are in, which is what is listed: `bucket/account/dump/table/1/`. */
  private readonly folders = new Map<string, Map<string, Content>>();

  constructor(
    private readonly services: Services,
    private readonly calls: Calls,
  ) {}

  write(bucket: string, name: string, text: string): void {
    const path = folderOf(bucket, name);
    const folder = this.folders.get(path) ?? new Map<string, Content>();
    this.folders.set(path, folder);
    folder.set(name, { file: { name, sizeBytes: text.length }, text });
  }

  list(bucket: string, prefix: string): Promise<StagedFile[]> {
    return this.request(() =>
      [...(this.folders.get(folderOf(bucket, prefix))?.values() ?? [])]
        .map(({ file }) => file)
        .filter(({ name }) => name.startsWith(prefix))
        .toSorted((one, other) => (one.name < other.name ? -1 : 1)),
    );
  }

  /** Its time is not counted here: it is read while it is put. */
  async open(bucket: string, name: string): Promise<ByteSource> {
    return new MemoryBytes(this.read(bucket, name));
  }

  readText(bucket: string, name: string): Promise<string> {
    return this.request(() => this.read(bucket, name));
  }

  writeTextOnce(bucket: string, name: string, text: string): Promise<void> {
    return this.request(() => {
      if (this.folders.get(folderOf(bucket, name))?.has(name) !== true) this.write(bucket, name, text);
    });
  }

  deleteAll(bucket: string, prefix: string): Promise<void> {
    return this.request(() => {
      for (const path of this.folders.keys()) if (path.startsWith(`${bucket}/${prefix}`)) this.folders.delete(path);
    });
  }

  /** Files that no dump has cleared. */
  get count(): number {
    return [...this.folders.values()].reduce((sum, folder) => sum + folder.size, 0);
  }

  private read(bucket: string, name: string): string {
    const found = this.folders.get(folderOf(bucket, name))?.get(name);
    if (found === undefined) throw stagingFilesGone(bucket, name);
    return found.text;
  }

  private request<T>(work: () => T): Promise<T> {
    return this.calls.request('Cloud Storage', this.services.times.cloudStorageMs, work);
  }
}

const folderOf = (bucket: string, name: string): string => `${bucket}/${name.slice(0, name.lastIndexOf('/') + 1)}`;

/** Stands for the CRC32C that Cloud Storage gives and S3 takes: here, too, a damaged body is refused. */
const checksumOf = (text: string): string => crc32(text).toString(16);

/** Every account has a bucket of its own. A receipt is held against the bucket when it is put. */
export class MemoryCustomerBuckets implements CustomerBuckets {
  /** Receipts that were refused because their attempt's time was over: they waited too long for a worker. */
  lateReceipts = 0;
  private readonly buckets = new Map<string, Set<string>>();

  constructor(
    private readonly services: Services,
    private readonly calls: Calls,
    private readonly onReceipt: (delivery: Delivery, faults: readonly string[]) => void,
  ) {}

  proveAccess({ settings }: Delivery): Promise<AssumedRole> {
    return this.calls.request('STS', this.services.times.stsMs, () => ({
      assumedRoleArn: settings.roleArn,
      awsAccountId: settings.bucketOwner,
      expiresAt: new Date(Date.now() + 3_600_000).toISOString(),
    }));
  }

  letsIn(): Promise<boolean> {
    return this.calls.request('STS', this.services.times.stsMs, () => false);
  }

  open(delivery: Delivery): CustomerBucket {
    return { put: (object) => this.calls.request('S3', this.services.times.s3Ms, () => this.put(delivery, object)) };
  }

  private async put(delivery: Delivery, { key, body, validity }: PutObject): Promise<void> {
    if (validity !== undefined && Date.now() > validity.untilMs) {
      this.lateReceipts += 1;
      throw new Error('Request has expired');
    }
    if (typeof body !== 'string') await take(key, await body.open());
    const bucket = this.buckets.get(delivery.settings.bucket) ?? new Set();
    this.buckets.set(delivery.settings.bucket, bucket.add(key));
    if (!key.endsWith('receipt.json') || typeof body !== 'string') return;
    this.onReceipt(delivery, faultsOfReceipt(JSON.parse(body) as Receipt, bucket));
  }
}

class MemoryBytes implements ByteSource {
  readonly sizeBytes: number;
  readonly crc32c: string;

  constructor(private readonly text: string) {
    this.sizeBytes = text.length;
    this.crc32c = checksumOf(text);
  }

  sendTo(sink: ByteSink, ended: () => void): void {
    sink.write(Buffer.from(this.text), ended);
  }

  destroy(): void {}
}

async function take(key: string, source: ByteSource): Promise<void> {
  let text = '';
  await new Promise<void>((ended, broken) => {
    const write = (bytes: Buffer, sent: () => void): void => {
      text += bytes.toString();
      sent();
    };
    source.sendTo({ write }, ended, broken);
  });
  source.destroy();
  if (text.length !== source.sizeBytes || checksumOf(text) !== source.crc32c) {
    throw new Error(`The body of ${key} is damaged.`);
  }
}
