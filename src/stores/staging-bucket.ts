import type { File, GetFilesOptions, Storage } from '@google-cloud/storage';
import { inLanes } from '../dump/lanes';
import type { Pace } from '../dump/pace';
import { stagingFailure } from '../failures';
import { connectionTimes, googleRequestTimeoutMs } from '../timing';
import type { ByteSource } from './byte-source';
import { answeredWithin } from './google-clients';
import { Connections } from './http/connections';
import { StagedFileBody } from './staged-file-body';

export interface StagedFile {
  readonly name: string;
  readonly sizeBytes: number;
}

/** The buckets in which extracted tables wait. Every method throws ApplicationFailures of named types. */
export interface StagingBuckets {
  /** The files whose names begin with `prefix`, by name. */
  list(bucket: string, prefix: string): Promise<StagedFile[]>;
  /** The bytes as stored: gzip stays gzip whatever the file's content encoding says. */
  open(bucket: string, name: string, signal: AbortSignal): Promise<ByteSource>;
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

  async list(bucket: string, prefix: string): Promise<StagedFile[]> {
    const found: StagedFile[] = [];
    try {
      // Page by page: each has its own time, however many there are.
      let query: GetFilesOptions | null = { prefix };
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

  async open(bucket: string, name: string, signal: AbortSignal): Promise<ByteSource> {
    // S3 checks the checksum that Cloud Storage keeps: nothing is hashed here.
    const { storage, connections, pace } = this;
    const object = `${encodeURIComponent(bucket)}/o/${encodeURIComponent(name)}`;
    const url = new URL(`${storage.apiEndpoint}/storage/v1/b/${object}?alt=media`);
    const authorisation = (): Promise<Headers> =>
      answeredWithin(this.requestTimeoutMs, storage.authClient.getRequestHeaders(url.href), signal);
    try {
      return await StagedFileBody.open(url, { connections, authorisation, pace }, signal);
    } catch (error) {
      throw signal.aborted ? error : stagingFailure(error, bucket, name);
    }
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

function stagedFile({ name, metadata: { size } }: File): StagedFile {
  if (size === undefined) throw new Error(`Cloud Storage lists ${name} without its size`);
  return { name, sizeBytes: Number(size) };
}
