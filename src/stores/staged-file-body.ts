import { setTimeout } from 'node:timers/promises';
import type { Pace } from '../dump/pace';
import { stagedFileRetryMs } from '../timing';
import type { ByteSource } from './byte-source';
import { CloudStorageError, mayPass } from './cloud-storage-error';
import type { ByteSink, Connection } from './http/connection';
import type { Connections } from './http/connections';
import { requestHead } from './http/request-head';
import type { ResponseHead } from './http/response-reader';

/** Eight of TLS's records: what is written on costs by the write as much as by the byte (docs/performance.md). */
export const pieceBytes = 128 * 1024;

/**
 * One is being sent, one waits to be, one is filled; and one is free, as a connection that is told to pause hands over what
 * it has read already, which may end the piece that is being filled.
 */
const piecesPerBody = 4;
const unsentPiecesMax = 2;

/** Pieces that no body uses. New memory for each piece would cost more than the copying into it. */
const unusedPieces: Buffer[][] = [];

/** The pieces, and about as much again for the two connections (docs/performance.md). */
export const streamedShardMemoryBytes = 2 * piecesPerBody * pieceBytes;

const newPieces = (): Buffer[] => Array.from({ length: piecesPerBody }, () => Buffer.allocUnsafeSlow(pieceBytes));

const errorBytesMax = 64 * 1024;

export interface StagedFileBodyOptions {
  readonly connections: Connections;
  /** Headers, asked for with each request. */
  readonly authorisation: () => Promise<Headers>;
  /** Absent, as fast as it goes. */
  readonly pace?: Pace | undefined;
}

interface Receiver {
  readonly sink: ByteSink;
  readonly ended: () => void;
  readonly broken: (error: Error) => void;
}

/** The bytes that Cloud Storage answers a request with, as they are stored. They come from when it is opened on. */
export class StagedFileBody implements ByteSource {
  private readonly pieces = unusedPieces.pop() ?? newPieces();
  private filling = 0;
  private filledBytes = 0;
  /** In order. The first of them is being sent, where there is a receiver. */
  private unsent: Buffer[] = [];
  private receivedBytes = 0;
  /** Until it has sent its answer: then it is another's. */
  private source: Connection | undefined;
  private receiver: Receiver | undefined;
  private failure: Error | undefined;
  private isDestroyed = false;

  private constructor(
    readonly sizeBytes: number,
    readonly crc32c: string,
    source: Connection,
    private readonly pace: Pace | undefined,
  ) {
    this.source = source;
  }

  /** Before its first byte a request can be sent again, as Cloud Storage's own client does. */
  static async open(url: URL, options: StagedFileBodyOptions, signal: AbortSignal): Promise<StagedFileBody> {
    for (const waitMs of stagedFileRetryMs) {
      try {
        return await StagedFileBody.request(url, options, signal);
      } catch (error) {
        if (signal.aborted || !mayPass(error)) throw error;
        await setTimeout(waitMs, undefined, { signal });
      }
    }
    return StagedFileBody.request(url, options, signal);
  }

  private static async request(
    url: URL,
    { connections, authorisation, pace }: StagedFileBodyOptions,
    signal: AbortSignal,
  ): Promise<StagedFileBody> {
    // Without gzip Cloud Storage unpacks what is stored with that content encoding.
    const headers = { host: url.host, 'accept-encoding': 'gzip', ...Object.fromEntries(await authorisation()) };
    signal.throwIfAborted();
    const source = connections.take(url);
    const opened = Promise.withResolvers<StagedFileBody>();
    let body: StagedFileBody | undefined;
    let refusal: { readonly status: number; text: string } | undefined;
    source.ask(requestHead({ method: 'GET', target: `${url.pathname}${url.search}`, headers }), {
      head: (head) => {
        if (head.status === 200) opened.resolve((body = StagedFileBody.of(head, source, pace)));
        else refusal = { status: head.status, text: '' };
      },
      body: (bytes) => {
        if (refusal === undefined) body?.fill(bytes);
        else if (refusal.text.length < errorBytesMax) refusal.text += bytes.toString();
      },
      end: () => {
        connections.give(url, source);
        if (refusal !== undefined) opened.reject(new CloudStorageError(refusal.status, refusal.text));
        else body?.answered();
      },
      broken: (error) => (body === undefined ? opened.reject(error) : body.break(error)),
    });
    source.endBody();
    const abort = (): void => {
      source.destroy();
      opened.reject(signal.reason);
    };
    signal.addEventListener('abort', abort);
    try {
      return await opened.promise;
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }

  /** Cloud Storage documentation, "HTTP headers and query string parameters": of the file as it is stored. */
  private static of({ headers }: ResponseHead, source: Connection, pace: Pace | undefined): StagedFileBody {
    const size = headers['x-goog-stored-content-length'] ?? '';
    const [, crc32c] = /\bcrc32c=([A-Za-z0-9+/]{6}==)/.exec(headers['x-goog-hash'] ?? '') ?? [];
    if (!/^\d+$/.test(size) || crc32c === undefined) {
      throw new Error('Cloud Storage has sent a file without its stored length or CRC32C');
    }
    return new StagedFileBody(Number(size), crc32c, source, pace);
  }

  sendTo(sink: ByteSink, ended: () => void, broken: (error: Error) => void): void {
    this.receiver = { sink, ended, broken };
    if (this.failure !== undefined) broken(this.failure);
    else if (this.isSent) ended();
    else this.sendFirst();
  }

  destroy(): void {
    if (this.isDestroyed) return;
    this.isDestroyed = true;
    this.source?.destroy();
    // A connection that broke may still have some of the others in hand.
    if (this.isSent) unusedPieces.push(this.pieces);
  }

  private get isReceived(): boolean {
    return this.receivedBytes === this.sizeBytes;
  }

  private get isSent(): boolean {
    return this.isReceived && this.unsent.length === 0;
  }

  private fill(bytes: Buffer): void {
    this.receivedBytes += bytes.length;
    if (this.receivedBytes > this.sizeBytes) throw this.wrongLength();
    for (let taken = 0; taken < bytes.length;) {
      const copiedBytes = bytes.copy(this.piece(), this.filledBytes, taken);
      taken += copiedBytes;
      this.filledBytes += copiedBytes;
      if (this.filledBytes === pieceBytes) this.pieceFilled();
    }
    if (this.isReceived && this.filledBytes > 0) this.pieceFilled();
  }

  private answered(): void {
    this.source = undefined;
    if (!this.isReceived) this.break(this.wrongLength());
  }

  private piece(): Buffer {
    const piece = this.pieces[this.filling];
    if (piece === undefined || this.unsent.length === piecesPerBody) {
      throw new Error(`A body has ${piecesPerBody} pieces and not one more.`);
    }
    return piece;
  }

  private pieceFilled(): void {
    this.unsent.push(this.piece().subarray(0, this.filledBytes));
    this.filling = (this.filling + 1) % piecesPerBody;
    this.filledBytes = 0;
    if (this.unsent.length === unsentPiecesMax) this.source?.pause();
    if (this.unsent.length === 1) this.sendFirst();
  }

  /** One at a time: pieces that wait together would be copied into one by the socket. */
  private sendFirst(): void {
    const [first] = this.unsent;
    if (first === undefined || this.receiver === undefined) return;
    const waitMs = this.pace?.waitMs(first.length) ?? 0;
    if (waitMs > 0) void setTimeout(waitMs).then(() => this.write(first));
    else this.write(first);
  }

  /** Meanwhile the put may have ended, and its connection be another's. */
  private write(piece: Buffer): void {
    if (!this.isDestroyed) this.receiver?.sink.write(piece, () => this.firstSent());
  }

  private firstSent(): void {
    if (this.isDestroyed) return;
    this.unsent.shift();
    if (this.unsent.length < unsentPiecesMax) this.source?.resume();
    if (this.isSent) this.receiver?.ended();
    else this.sendFirst();
  }

  private break(error: Error): void {
    if (this.isDestroyed || this.failure !== undefined) return;
    this.failure = error;
    this.receiver?.broken(error);
  }

  private wrongLength(): Error {
    return new Error(`Cloud Storage has sent ${this.receivedBytes} of ${this.sizeBytes} bytes`);
  }
}
