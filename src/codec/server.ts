/** Temporal's remote codec protocol: lets the Temporal UI and CLI show what is encrypted. Keys stay here. */
import { createHash, timingSafeEqual } from 'node:crypto';
import http from 'node:http';
import type { Payload, PayloadCodec } from '@temporalio/common';

export interface CodecServerSettings {
  readonly host: string;
  readonly port: number;
  /** The only web page that may ask: the UI's scheme, host and port. */
  readonly origin: string;
  /** What every request must bring as bearer token, where there is one. */
  readonly token: string | undefined;
}

/** A page of the UI's history: some thousand payloads at the most, of 2 MB at the very most, and mostly far below. */
const bodyBytesMax = 32 * 1024 * 1024;
/** A request that comes in so slowly is not the UI's. */
const requestTimeoutMs = 30_000;

/** A payload as JSON: bytes are base64. */
interface JsonPayload {
  readonly metadata?: Readonly<Record<string, string>>;
  readonly data?: string;
}

class Refused extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

export const createCodecServer = (settings: CodecServerSettings, codec: PayloadCodec): http.Server =>
  http.createServer({ requestTimeout: requestTimeoutMs }, (request, response) => {
    void answer(request, response, settings, codec);
  });

async function answer(
  request: http.IncomingMessage,
  response: http.ServerResponse,
  settings: CodecServerSettings,
  codec: PayloadCodec,
): Promise<void> {
  try {
    const { origin } = request.headers;
    response.setHeader('vary', 'origin');
    if (origin !== undefined) {
      if (origin !== settings.origin)
        throw new Refused(403, 'This page may not ask: CODEC_SERVER_ORIGIN names another.');
      response.setHeader('access-control-allow-origin', origin);
      // The UI can be told to send cookies, for a proxy that knows who is signed in.
      response.setHeader('access-control-allow-credentials', 'true');
    }
    if (request.method === 'OPTIONS') return preflight(response);
    const work = workOf(request, codec);
    requireToken(request, settings);
    const payloads = parsePayloads(await bodyOf(request));
    send(response, 200, { payloads: (await worked(work, payloads)).map(toJson) });
  } catch (error) {
    const status = error instanceof Refused ? error.status : 500;
    send(response, status, { message: error instanceof Refused ? error.message : 'The codec server failed.' });
  }
}

function preflight(response: http.ServerResponse): void {
  response.setHeader('access-control-allow-methods', 'POST');
  // The second one the UI adds where it is told to pass the user's token.
  response.setHeader('access-control-allow-headers', 'authorization,authorization-extras,content-type,x-namespace');
  response.setHeader('access-control-max-age', '600');
  response.writeHead(204).end();
}

type Work = (payloads: Payload[]) => Promise<Payload[]>;

/** A base path before the verb is a proxy's, or a namespace's as in the UI's examples. */
function workOf({ method, url = '' }: http.IncomingMessage, codec: PayloadCodec): Work {
  const verb = /\/(encode|decode)(?:\?|$)/.exec(url)?.[1];
  if (verb === undefined) throw new Refused(404, 'Ask for /decode or /encode.');
  if (method !== 'POST') throw new Refused(405, 'Only POST is answered.');
  return verb === 'decode' ? (payloads) => codec.decode(payloads) : (payloads) => codec.encode(payloads);
}

function requireToken({ headers }: http.IncomingMessage, { token }: CodecServerSettings): void {
  if (token === undefined) return;
  const [, given = ''] = /^Bearer (.+)$/i.exec(headers.authorization ?? '') ?? [];
  if (!timingSafeEqual(digest(given), digest(token))) {
    throw new Refused(401, 'The bearer token is missing or wrong: it must be that of CODEC_SERVER_TOKEN.');
  }
}

/** Of one length, whatever is given. */
const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

async function bodyOf(request: http.IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > bodyBytesMax) throw new Refused(413, `The request is larger than ${bodyBytesMax} bytes.`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

function parsePayloads(body: string): Payload[] {
  try {
    // Of no payloads Temporal's CLI, which asks that for a query without arguments, writes nothing.
    const { payloads = [] } = JSON.parse(body) as { readonly payloads?: readonly JsonPayload[] };
    return payloads.map(fromJson);
  } catch {
    throw new Refused(400, 'The body is not JSON of the form {"payloads": [{"metadata": {…}, "data": "…"}]}.');
  }
}

/** What the codec says names a key at the most. */
async function worked(work: Work, payloads: Payload[]): Promise<Payload[]> {
  try {
    return await work(payloads);
  } catch (error) {
    throw new Refused(400, error instanceof Error ? error.message : 'The payloads cannot be read.');
  }
}

const fromJson = ({ metadata = {}, data = '' }: JsonPayload): Payload => ({
  metadata: Object.fromEntries(Object.entries(metadata).map(([name, value]) => [name, Buffer.from(value, 'base64')])),
  data: Buffer.from(data, 'base64'),
});

const toJson = ({ metadata, data }: Payload): JsonPayload => ({
  metadata: Object.fromEntries(
    Object.entries(metadata ?? {}).map(([name, value]) => [name, Buffer.from(value).toString('base64')]),
  ),
  data: Buffer.from(data ?? []).toString('base64'),
});

function send(response: http.ServerResponse, status: number, body: object): void {
  if (response.destroyed) return;
  response.writeHead(status, {
    'content-type': 'application/json',
    'cache-control': 'no-store',
    // What is left of a request that is refused is not read.
    ...(status === 200 ? {} : { connection: 'close' }),
  });
  response.end(JSON.stringify(body));
}
