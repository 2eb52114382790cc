import type { ByteSink } from './http/connection';

/** Bytes that are sent on as they come, in memory of their own that is used again. */
export interface ByteSource {
  readonly sizeBytes: number;
  /** Base64 of the big-endian CRC32C, as Cloud Storage gives it and S3 takes it. */
  readonly crc32c: string;
  /** Writes them all. Then `ended` is called or, where they cannot be had, `broken`. */
  sendTo(sink: ByteSink, ended: () => void, broken: (error: Error) => void): void;
  /** To be called in the end, however it went: what has not come yet is not waited for. */
  destroy(): void;
}

export const isByteSource = (body: unknown): body is ByteSource =>
  typeof body === 'object' && body !== null && 'sendTo' in body;
