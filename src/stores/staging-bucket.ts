import type { File, GetFilesOptions, Storage } from '@google-cloud/storage';
import { inLanes } from '../dump/lanes';
import type { Pace } from '../dump/pace';
import { stagingFailure } from '../failures';
import { connectionTimes, googleRequestTimeoutMs } from '../timing';
import type { ByteSource } from './byte-source';
import { answeredWithin } from './google-clients';
import { Connections } from './http/connections';
import { StagedFileBody } from './staged-file-body';

/** A file of a staging bucket, at one generation: what was listed is what is read. */
export interface StagedFile {
  readonly name: string;
  readonly generation: string;
  readonly sizeBytes: number;
  /** Base64 of the big-endian CRC32C of the bytes as stored (Cloud Storage JSON API, Objects). */
  readonly crc32c: string;
}

/** The buckets in which extracted tables wait. Every method throws ApplicationFailures of named types. */
export interface StagingBuckets {
  /** The files whose names begin with `prefix`, by name; with `from` and `before`, those in between. */
  list(bucket: string, prefix: string, between?: { from: string; before: string }): Promise<StagedFile[]>;
  /** The bytes as stored: gzip stays gzip whatever the file's content encoding says. */
  open(bucket: string, file: StagedFile): ByteSource;
  readText(bucket: string, name: string): Promise<string>;
  /** What is there already stays: an attempt that was given up on cannot change what a later one relies on. */
  writeTextOnce(bucket: string, name: string, text: string): Promise<void>;
  /** Nothing is left under `prefix`; that there was nothing is no failure. */
  deleteAll(bucket: string, prefix: string): Promise<void>;
}

const deletionsSideBySide = 16;

interface GcsStagingBucketsOptions {
  readonly requestTimeoutMs?: number;
  readonly pace?: Pace | undefined;
}

export class GcsStagingBuckets implements StagingBuckets {
  private readonly requestTimeoutMs: number;
  private readonly pace: Pace | undefined;
  private readonly connections = new Connections(connectionTimes);

  /** @param options.pace of the bytes of all files that are opened; absent, as fast as it goes */
  constructor(
    private readonly storage: Storage,
    { requestTimeoutMs = googleRequestTimeoutMs, pace }: GcsStagingBucketsOptions = {},
  ) {
    this.requestTimeoutMs = requestTimeoutMs;
    this.pace = pace;
  }

  async list(bucket: string, prefix: string, between?: { from: string; before: string }): Promise<StagedFile[]> {
    const window = between === undefined ? {} : { startOffset: between.from, endOffset: between.before };
    const found: StagedFile[] = [];
    try {
      // Page by page: each has its own time, however many there are.
      let query: GetFilesOptions | null = { prefix, ...window };
      while (query !== null) {
        const [files, next]: [File[], GetFilesOptions | null, unknown] = await this.answered(
          this.storage.bucket(bucket).getFiles({ ...query, autoPaginate: false }),
        );
        found.push(...files.map(stagedFile));
        query = next;
      }
    } catch (error) {
      throw stagingFailure(error, bucket);
    }
    return found;
  }

  open(bucket: string, file: StagedFile): ByteSource {
    // S3 checks the checksum that Cloud Storage keeps: nothing is hashed here.
    const { storage } = this;
    const name = `${encodeURIComponent(bucket)}/o/${encodeURIComponent(file.name)}`;
    const url = new URL(`${storage.apiEndpoint}/storage/v1/b/${name}?alt=media&generation=${file.generation}`);
    return new StagedFileBody(url, {
      connections: this.connections,
      sizeBytes: file.sizeBytes,
      authorisation: () => storage.authClient.getRequestHeaders(url.href),
      pace: this.pace,
    });
  }

  async readText(bucket: string, name: string): Promise<string> {
    try {
      const [contents] = await this.answered(this.storage.bucket(bucket).file(name).download());
      return contents.toString('utf8');
    } catch (error) {
      throw stagingFailure(error, bucket, name);
    }
  }

  async writeTextOnce(bucket: string, name: string, text: string): Promise<void> {
    try {
      const options = { resumable: false, contentType: 'application/json', preconditionOpts: { ifGenerationMatch: 0 } };
      await this.answered(this.storage.bucket(bucket).file(name).save(text, options));
    } catch (error) {
      if (!isPreconditionFailed(error)) throw stagingFailure(error, bucket);
    }
  }

  async deleteAll(bucket: string, prefix: string): Promise<void> {
    const files = await this.list(bucket, prefix);
    await inLanes(files, deletionsSideBySide, async ({ name }) => {
      // Another attempt may have been there first; that is no missing bucket.
      const deleted = this.answered(this.storage.bucket(bucket).file(name).delete({ ignoreNotFound: true }));
      await deleted.catch((error: unknown) => {
        throw stagingFailure(error, bucket, name);
      });
    });
  }

  private answered<T>(request: Promise<T>): Promise<T> {
    return answeredWithin(this.requestTimeoutMs, request);
  }
}

const isPreconditionFailed = (error: unknown): boolean => Number((error as { code?: unknown } | null)?.code) === 412;

function stagedFile({ name, metadata }: File): StagedFile {
  const { generation, size, crc32c } = metadata;
  if (generation === undefined || size === undefined || crc32c === undefined) {
    throw new Error(`Cloud Storage lists ${name} without generation, size or crc32c`);
  }
  return { name, generation: String(generation), sizeBytes: Number(size), crc32c };
}
