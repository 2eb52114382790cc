import { continueTimeoutMs } from '../timing';
import { isByteSource } from './byte-source';
import type { Connection } from './http/connection';
import type { Connections } from './http/connections';
import { requestHead } from './http/request-head';
import type { ResponseHead } from './http/response-reader';

/** As the SDK makes it: signed, its path percent-encoded. */
export interface SignedRequest {
  readonly method: string;
  readonly protocol: string;
  readonly hostname: string;
  readonly port?: number;
  readonly path: string;
  readonly query?: Record<string, string | string[] | null>;
  readonly headers: Record<string, string>;
  readonly body?: unknown;
}

export interface Answer {
  readonly statusCode: number;
  readonly headers: Record<string, string>;
  readonly body: Uint8Array;
}

/** Stands for a body where nothing is to be sent: it keeps the request that was made, and answers it. */
export class Rehearsal {
  request: SignedRequest | undefined;

  constructor(readonly answer: Answer = { statusCode: 200, headers: {}, body: new Uint8Array() }) {}
}

/** The source of a body broke, not the request: `cause` says how. */
export class BodyBroken extends Error {
  override readonly name = 'BodyBroken';
}

/** S3's answers to a put hold a few headers or an error. */
const answerBytesMax = 256 * 1024;

/**
 * Sends what the SDK's client has made and signed, over kept connections. A body that is a {@link ByteSource} is sent
 * without a stream between. An answer that comes before the body's end ends the put; with the header `Expect:
 * 100-continue` a refusal comes before the body's beginning.
 */
export class S3RequestHandler {
  readonly metadata = { handlerProtocol: 'http/1.1' };

  constructor(private readonly connections: Connections) {}

  /** @param options.abortSignal the platform's own, which the SDK's types do not insist on */
  async handle(
    request: SignedRequest,
    options: { readonly abortSignal?: unknown } = {},
  ): Promise<{ response: Answer }> {
    const { protocol, hostname, port, body } = request;
    if (body instanceof Rehearsal) {
      body.request = request;
      return { response: body.answer };
    }
    const origin = new URL(`${protocol}//${hostname}${port === undefined ? '' : `:${port}`}`);
    const signal = options.abortSignal instanceof AbortSignal ? options.abortSignal : undefined;
    signal?.throwIfAborted();
    const connection = this.connections.take(origin);
    try {
      return { response: await exchange(connection, request, signal) };
    } finally {
      this.connections.give(origin, connection);
    }
  }

  updateHttpClientConfig(): void {}

  httpHandlerConfigs(): Record<string, never> {
    return {};
  }

  destroy(): void {}
}

async function exchange(
  connection: Connection,
  request: SignedRequest,
  signal: AbortSignal | undefined,
): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const abort = (): void => reject(signal?.reason);
  signal?.addEventListener('abort', abort, { once: true });
  let isBodySent = false;
  const send = (): void => {
    if (!isBodySent) sendBody(request.body, connection, reject);
    isBodySent = true;
  };
  let head: ResponseHead | undefined;
  let body = Buffer.alloc(0);
  connection.ask(requestHead({ method: request.method, target: targetOf(request), headers: request.headers }), {
    proceed: send,
    head: (given) => (head = given),
    body: (bytes) => {
      if (body.length + bytes.length > answerBytesMax) throw new Error('S3 answers with more than an error');
      body = Buffer.concat([body, bytes]);
    },
    end: () => resolve({ statusCode: head?.status ?? 0, headers: { ...head?.headers }, body }),
    broken: reject,
  });
  const waiting = request.headers['Expect'] === undefined ? undefined : setTimeout(send, continueTimeoutMs);
  if (waiting === undefined) send();
  try {
    return await promise;
  } finally {
    clearTimeout(waiting);
    signal?.removeEventListener('abort', abort);
  }
}

function sendBody(body: unknown, connection: Connection, broken: (error: Error) => void): void {
  if (isByteSource(body)) {
    body.sendTo(
      connection,
      () => connection.endBody(),
      (cause) => broken(new BodyBroken(cause.message, { cause })),
    );
    return;
  }
  if (typeof body === 'string' || body instanceof Uint8Array) connection.write(Buffer.from(body), () => {});
  connection.endBody();
}

function targetOf({ path, query = {} }: SignedRequest): string {
  const pairs = Object.entries(query).flatMap(([name, value]) =>
    [value ?? ''].flat().map((each) => `${encodeURIComponent(name)}=${encodeURIComponent(each)}`),
  );
  return pairs.length === 0 ? path : `${path}?${pairs.join('&')}`;
}
