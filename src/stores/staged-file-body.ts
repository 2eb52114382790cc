import http from 'node:http';
import https from 'node:https';
import { Readable } from 'node:stream';
import type { Pace } from '../dump/pace';
import { stagedFileRetryMs } from '../timing';

/** Connections are kept: a new one costs a small shard more than its bytes do. */
const protocols = {
  'http:': { request: http.request, agent: new http.Agent({ keepAlive: true }) },
  'https:': { request: https.request, agent: new https.Agent({ keepAlive: true }) },
} as const;

/** Eight of TLS's records: what is written on costs by the write as much as by the byte (docs/performance.md). */
const pieceBytes = 128 * 1024;

/**
 * One is being sent, two may wait to be (what one read brings can end a piece after the reader had enough), one is filled.
 * A piece is larger than what a request buffers, so that the next is taken only when the one before has been sent.
 */
const piecesPerBody = 4;

/** Pieces that no body uses. New memory for each piece would cost more than the copying into it. */
const unusedPieces: Buffer[][] = [];

/** The pieces, and about as much again for the two connections (docs/performance.md). */
export const streamedShardMemoryBytes = 2 * piecesPerBody * pieceBytes;

const newPieces = (): Buffer[] => Array.from({ length: piecesPerBody }, () => Buffer.allocUnsafeSlow(pieceBytes));

const errorBytesMax = 64 * 1024;

export interface StagedFileBodyOptions {
  /** As listed. The body ends with its last byte: the request that reads it must have ended when it is answered. */
  readonly sizeBytes: number;
  /** Headers, asked for with each request. */
  readonly authorisation: () => Promise<Headers>;
  /** Absent, as fast as it goes. */
  readonly pace?: Pace | undefined;
}

/**
 * The bytes that Cloud Storage answers a request with, as they are stored. Made to be piped into one request: a chunk is
 * overwritten three chunks later, and all of them may be once the body is destroyed, which its owner must do.
 */
export class StagedFileBody extends Readable {
  private readonly pieces = unusedPieces.pop() ?? newPieces();
  private filling = 0;
  private filledBytes = 0;
  private receivedBytes = 0;
  private unspentBytes = 0;
  private requestsSent = 0;
  private request: http.ClientRequest | undefined;
  private response: http.IncomingMessage | undefined;

  constructor(
    private readonly url: URL,
    private readonly options: StagedFileBodyOptions,
  ) {
    super({ highWaterMark: 1, autoDestroy: false });
  }

  override _construct(constructed: () => void): void {
    this.send();
    constructed();
  }

  override _read(): void {
    const waitMs = this.options.pace?.spend(this.unspentBytes) ?? 0;
    this.unspentBytes = 0;
    if (waitMs > 0) setTimeout(() => this.response?.resume(), waitMs);
    else this.response?.resume();
  }

  override _destroy(error: Error | null, destroyed: (error: Error | null) => void): void {
    // One that was read to its end leaves its connection to the next.
    if (this.response?.readableEnded !== true) this.request?.destroy();
    unusedPieces.push(this.pieces);
    destroyed(error);
  }

  private send(): void {
    this.requestsSent += 1;
    this.options
      .authorisation()
      .then((authorisation) => (this.request = this.destroyed ? undefined : this.requestWith(authorisation)))
      .catch((error: unknown) => this.destroy(error as Error));
  }

  private requestWith(authorisation: Headers): http.ClientRequest {
    const { request, agent } = protocols[this.url.protocol === 'https:' ? 'https:' : 'http:'];
    // Without it Cloud Storage unpacks what is stored with the content encoding gzip.
    const headers = { ...Object.fromEntries(authorisation), 'accept-encoding': 'gzip' };
    const sent = request(this.url, { agent, headers });
    sent.on('error', (error) => (this.response === undefined ? this.sendAgainAfter(error) : this.destroy(error)));
    sent.once('response', (answer) => (answer.statusCode === 200 ? this.receive(answer) : this.refuse(answer)));
    sent.end();
    return sent;
  }

  /** Before its first byte a request can be sent again, as Cloud Storage's own client does. */
  private sendAgainAfter(error: Error): void {
    const waitMs = stagedFileRetryMs[this.requestsSent - 1];
    if (this.destroyed) return;
    if (waitMs === undefined || !mayPass(error)) {
      this.destroy(error);
      return;
    }
    setTimeout(() => {
      if (!this.destroyed) this.send();
    }, waitMs);
  }

  private receive(response: http.IncomingMessage): void {
    this.response = response;
    response.on('data', (data: Buffer) => this.fill(data));
    response.once('error', (error) => this.destroy(error));
    if (this.options.sizeBytes === 0) this.push(null);
    response.once('end', () => {
      if (this.receivedBytes < this.options.sizeBytes) this.destroy(this.wrongLength());
    });
  }

  private fill(data: Buffer): void {
    this.receivedBytes += data.length;
    if (this.receivedBytes > this.options.sizeBytes) {
      this.destroy(this.wrongLength());
      return;
    }
    for (let taken = 0; taken < data.length;) {
      const copiedBytes = data.copy(this.piece(), this.filledBytes, taken);
      taken += copiedBytes;
      this.filledBytes += copiedBytes;
      if (this.filledBytes === pieceBytes && !this.pass()) this.response?.pause();
    }
    if (this.receivedBytes === this.options.sizeBytes) this.end();
  }

  private end(): void {
    if (this.filledBytes > 0) this.pass();
    this.push(null);
    // Its end is read too, which leaves the connection to the next.
    this.response?.resume();
  }

  private wrongLength(): Error {
    return new Error(`Cloud Storage has sent ${this.receivedBytes} of ${this.options.sizeBytes} bytes`);
  }

  private piece(): Buffer {
    const piece = this.pieces[this.filling];
    if (piece === undefined) throw new Error(`A body has ${piecesPerBody} pieces and not one more.`);
    return piece;
  }

  private pass(): boolean {
    const full = this.piece().subarray(0, this.filledBytes);
    this.filling = (this.filling + 1) % piecesPerBody;
    this.filledBytes = 0;
    this.unspentBytes += full.length;
    return this.push(full);
  }

  private refuse(answer: http.IncomingMessage): void {
    let text = '';
    answer.on('data', (data: Buffer) => {
      if (text.length < errorBytesMax) text += data.toString();
    });
    answer.once('error', (error) => this.destroy(error));
    answer.once('end', () => this.sendAgainAfter(new CloudStorageError(answer.statusCode ?? 0, text)));
  }
}

/** What Cloud Storage answers instead of bytes (Cloud Storage documentation, "HTTP status and error codes for JSON"). */
class CloudStorageError extends Error {
  override readonly name = 'CloudStorageError';
  readonly errors: readonly { readonly reason?: string; readonly message?: string }[];

  constructor(
    readonly code: number,
    text: string,
  ) {
    const answer = parsedAnswer(text);
    super(answer.message ?? `HTTP status ${code}`);
    this.errors = answer.errors ?? [];
  }
}

interface Answer {
  readonly message?: string;
  readonly errors?: CloudStorageError['errors'];
}

function parsedAnswer(text: string): Answer {
  try {
    return (JSON.parse(text) as { error?: Answer }).error ?? {};
  } catch {
    return {};
  }
}

/** Cloud Storage documentation, "Retry strategy": these and broken connections. */
const mayPass = (error: Error): boolean =>
  !(error instanceof CloudStorageError) || error.code === 408 || error.code === 429 || error.code >= 500;
