/** Reads HTTP/1.1 answers (RFC 9112) out of memory that is used again: nothing is kept of a body, nothing is copied. */

export interface ResponseHead {
  readonly status: number;
  /** Names in lower case; what came more than once is joined by commas. */
  readonly headers: Readonly<Record<string, string>>;
}

/** Who is told of an answer, in the order of the calls. */
export interface ResponseListener {
  /** 100: the body that was announced may be sent. */
  proceed?(): void;
  head(head: ResponseHead): void;
  /** The bytes are overwritten when this returns. */
  body(bytes: Buffer): void;
  end(): void;
}

/** What is not HTTP/1.1, or not such as a store may send. */
export class MalformedResponse extends Error {
  override readonly name = 'MalformedResponse';
}

/** Node's own limit of a head. */
const headBytesMax = 16 * 1024;

type Framing =
  | { readonly kind: 'head' }
  | { readonly kind: 'sized'; left: number }
  | { readonly kind: 'chunk size' }
  | { readonly kind: 'chunk'; left: number }
  | { readonly kind: 'chunk end' }
  | { readonly kind: 'trailers' }
  | { readonly kind: 'until close' }
  | { readonly kind: 'ended' };

const nothing = Buffer.alloc(0);

/** Of one answer. */
export class ResponseReader {
  private framing: Framing = { kind: 'head' };
  /** The beginning of a line or head whose end has not come yet. */
  private begun: Buffer = nothing;
  private keepsConnection = false;

  constructor(private readonly listener: ResponseListener) {}

  /** Whether the answer has ended and its connection may be used for another. */
  get leavesConnection(): boolean {
    return this.framing.kind === 'ended' && this.keepsConnection;
  }

  /** @throws MalformedResponse */
  read(bytes: Buffer): void {
    let rest = bytes;
    while (rest.length > 0) rest = this.readSome(rest);
  }

  /** The connection has ended. @throws MalformedResponse where the answer has not. */
  connectionEnded(): void {
    if (this.framing.kind === 'until close') this.end();
    else if (this.framing.kind !== 'ended') throw new MalformedResponse('the connection ended before the answer did');
  }

  private readSome(bytes: Buffer): Buffer {
    const { framing } = this;
    switch (framing.kind) {
      case 'head':
        return this.upTo('\r\n\r\n', bytes, (text) => this.readHead(text));
      case 'sized':
      case 'chunk':
        return this.readBody(framing, bytes);
      case 'chunk size':
        return this.upTo('\r\n', bytes, (text) => this.readChunkSize(text));
      case 'chunk end':
        return this.upTo('\r\n', bytes, (text) => this.readChunkEnd(text));
      case 'trailers':
        return this.upTo('\r\n', bytes, (text) => this.readTrailer(text));
      case 'until close':
        this.listener.body(bytes);
        return nothing;
      case 'ended':
        throw new MalformedResponse('there are bytes after the end of the answer');
    }
  }

  /** What comes before `mark`, which may come with later bytes. Returns what comes after it. */
  private upTo(mark: string, bytes: Buffer, read: (text: string) => void): Buffer {
    const all = this.begun.length === 0 ? bytes : Buffer.concat([this.begun, bytes]);
    const end = all.indexOf(mark, 0, 'latin1');
    if (end < 0) {
      if (all.length > headBytesMax) throw new MalformedResponse(`a head or line has more than ${headBytesMax} bytes`);
      this.begun = Buffer.from(all);
      return nothing;
    }
    this.begun = nothing;
    read(all.toString('latin1', 0, end));
    return all.subarray(end + mark.length);
  }

  private readHead(text: string): void {
    const [statusLine = '', ...lines] = text.split('\r\n');
    const [, minor, digits] = /^HTTP\/1\.([01]) ([1-5]\d\d)(?: .*)?$/.exec(statusLine) ?? [];
    if (minor === undefined) throw new MalformedResponse('the answer does not begin as one of HTTP/1.1 does');
    const status = Number(digits);
    if (status === 100) this.listener.proceed?.();
    // Another head follows.
    if (status < 200) return;
    const headers = parseHeaders(lines);
    this.keepsConnection = minor === '1' && !/\bclose\b/i.test(headers['connection'] ?? '');
    this.framing = framingOf(status, headers);
    if (this.framing.kind === 'until close') this.keepsConnection = false;
    this.listener.head({ status, headers });
    if (this.framing.kind === 'sized' && this.framing.left === 0) this.end();
  }

  private readBody(framing: { readonly kind: 'sized' | 'chunk'; left: number }, bytes: Buffer): Buffer {
    const body = bytes.length > framing.left ? bytes.subarray(0, framing.left) : bytes;
    framing.left -= body.length;
    this.listener.body(body);
    if (framing.left === 0) {
      if (framing.kind === 'sized') this.end();
      else this.framing = { kind: 'chunk end' };
    }
    return bytes.subarray(body.length);
  }

  private readChunkSize(text: string): void {
    const [, digits] = /^([0-9a-f]{1,12})[ \t]*(?:;.*)?$/i.exec(text) ?? [];
    if (digits === undefined) throw new MalformedResponse('a chunk does not begin with its size');
    const left = parseInt(digits, 16);
    this.framing = left === 0 ? { kind: 'trailers' } : { kind: 'chunk', left };
  }

  private readChunkEnd(text: string): void {
    if (text !== '') throw new MalformedResponse('a chunk is longer than its size');
    this.framing = { kind: 'chunk size' };
  }

  private readTrailer(text: string): void {
    if (text === '') this.end();
  }

  private end(): void {
    this.framing = { kind: 'ended' };
    this.listener.end();
  }
}

function parseHeaders(lines: readonly string[]): Record<string, string> {
  const headers: Record<string, string> = Object.create(null) as Record<string, string>;
  for (const line of lines) {
    const [, name = '', value = ''] = /^([\w!#$%&'*+.^`|~-]+):[ \t]*(.*?)[ \t]*$/.exec(line) ?? [];
    if (name === '') throw new MalformedResponse('a header has no name');
    const key = name.toLowerCase();
    const before = headers[key];
    headers[key] = before === undefined ? value : `${before}, ${value}`;
  }
  return headers;
}

/** RFC 9112, 6.3: where the body ends. */
function framingOf(status: number, headers: Readonly<Record<string, string>>): Framing {
  if (status === 204 || status === 304) return { kind: 'sized', left: 0 };
  const { 'transfer-encoding': encoding, 'content-length': length } = headers;
  if (encoding !== undefined) {
    if (encoding.toLowerCase() !== 'chunked' || length !== undefined) {
      throw new MalformedResponse('where the answer ends is not clear');
    }
    return { kind: 'chunk size' };
  }
  if (length === undefined) return { kind: 'until close' };
  if (!/^\d{1,15}$/.test(length)) throw new MalformedResponse('the answer has no single length');
  return { kind: 'sized', left: Number(length) };
}
