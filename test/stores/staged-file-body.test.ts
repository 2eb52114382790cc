/** The body of a shard, from a server of the test's to another. */
import { createHash, randomBytes } from 'node:crypto';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { Pace } from '../../src/dump/pace';
import { Connections } from '../../src/stores/http/connections';
import { S3RequestHandler } from '../../src/stores/s3-request-handler';
import { StagedFileBody } from '../../src/stores/staged-file-body';
import { connectionTimes } from '../../src/timing';
import { bytesOf } from '../fakes';

const servers: http.Server[] = [];

async function serve(handler: http.RequestListener): Promise<{ url: URL; server: http.Server }> {
  const server = http.createServer(handler);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/shard`), server };
}

afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

const connections = new Connections(connectionTimes);
const never = new AbortController().signal;
const authorisation = async (): Promise<Headers> => new Headers({ authorization: 'Bearer b' });

const open = (url: URL, signal = never, pace?: Pace): Promise<StagedFileBody> =>
  StagedFileBody.open(url, { connections, authorisation, pace }, signal);

/** As Cloud Storage answers, for a file of so many bytes. */
function answer(response: http.ServerResponse, sizeBytes: number): http.ServerResponse {
  response.setHeader('x-goog-stored-content-length', sizeBytes);
  response.setHeader('x-goog-hash', 'crc32c=mnG7TA==,md5=XUFAKrxLKna5cZ2REBfFkg==');
  return response;
}

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

/** Puts the body as it is put into S3. Answers with what the receiver hashed. */
async function putThrough(url: URL, { hostname, port, pathname, host }: URL, pace?: Pace): Promise<string> {
  const body = await open(url, never, pace);
  const request = { method: 'PUT', protocol: 'http:', hostname, port: Number(port), path: pathname };
  const headers = { host, 'content-length': String(body.sizeBytes) };
  try {
    const { response } = await new S3RequestHandler(connections).handle({ ...request, headers, body });
    return Buffer.from(response.body).toString();
  } finally {
    body.destroy();
  }
}

/** Takes a little at a time, so that pieces have to wait for one another. */
const slowReceiver = () =>
  serve((request, response) => {
    const hash = createHash('sha256');
    request.on('data', (data: Buffer) => {
      hash.update(data);
      request.pause();
      setImmediate(() => request.resume());
    });
    request.on('end', () => response.end(hash.digest('hex')));
  });

test('bodies side by side arrive byte for byte, also at a receiver that is slower than the sender, again and again', async () => {
  const shards = Array.from({ length: 24 }, (_, index) => randomBytes(index === 0 ? 0 : 150_000 * index + index));
  const source = await serve((request, response) => {
    const shard = shards[Number(new URL(request.url ?? '', 'http://x').searchParams.get('shard'))] ?? Buffer.alloc(0);
    // Of a length, and in chunks.
    if (shard.length % 2 === 0) answer(response, shard.length).end(shard);
    else Readable.from([shard.subarray(0, 70_000), shard.subarray(70_000)]).pipe(answer(response, shard.length));
  });
  const receiver = await slowReceiver();
  const copy = (_: Buffer, shard: number) => putThrough(new URL(`?shard=${shard}`, source.url), receiver.url);
  expect(await Promise.all(shards.map(copy))).toEqual(shards.map(sha256));
  // With the memory and the connections of those before.
  expect(await Promise.all(shards.map(copy))).toEqual(shards.map(sha256));
});

test('what is stored is told before it is read', async () => {
  const source = await serve((_request, response) => answer(response, 5).write('hel'));
  const body = await open(source.url);
  expect(body).toMatchObject({ sizeBytes: 5, crc32c: 'mnG7TA==' });
  body.destroy();
});

test.each([
  ['its stored length', { 'x-goog-hash': 'crc32c=mnG7TA==' }],
  ['its CRC32C', { 'x-goog-stored-content-length': '5', 'x-goog-hash': 'md5=XUFAKrxLKna5cZ2REBfFkg==' }],
])('a file without %s is not taken', async (_what, headers) => {
  const source = await serve((_request, response) => response.writeHead(200, headers).end('hello'));
  await expect(open(source.url)).rejects.toThrow('without its stored length or CRC32C');
});

test('bodies one after the other share a connection', async () => {
  let opened = 0;
  const source = await serve((_request, response) => answer(response, 300_000).end(Buffer.alloc(300_000)));
  source.server.on('connection', () => (opened += 1));
  const receiver = await slowReceiver();
  for (let times = 0; times < 3; times += 1) await putThrough(source.url, receiver.url);
  expect(opened).toBe(1);
});

/** Takes the first piece and no more. */
const firstPieceOf = (body: StagedFileBody): Promise<Buffer> =>
  new Promise((resolve, reject) => body.sendTo({ write: resolve }, () => {}, reject));

test.each([
  ['before all of it has arrived', 200_000, 1_000_000],
  ['when all of it has been sent and not all was read', 512 * 1024, 512 * 1024],
])('a body that is given up %s closes its connection', async (_when, sentBytes, sizeBytes) => {
  const closed = Promise.withResolvers<string>();
  const source = await serve((request, response) => {
    request.socket.once('close', () => closed.resolve('closed'));
    answer(response, sizeBytes).write(Buffer.alloc(sentBytes));
  });
  source.server.keepAliveTimeout = 0;
  const body = await open(source.url);
  await firstPieceOf(body);
  body.destroy();
  expect(await closed.promise).toBe('closed');
});

test('no piece is overwritten while it is being sent, however slowly that goes', async () => {
  const shard = randomBytes(4_000_000);
  const source = await serve((_request, response) => answer(response, shard.length).end(shard));
  const body = await open(source.url);
  const taken: Buffer[] = [];
  await new Promise<void>((resolve, reject) => {
    const write = (bytes: Buffer, sent: () => void): void => {
      const copy = Buffer.from(bytes);
      setTimeout(() => {
        if (!bytes.equals(copy)) reject(new Error('a piece was overwritten'));
        taken.push(copy);
        sent();
      }, 2);
    };
    body.sendTo({ write }, resolve, reject);
  });
  body.destroy();
  expect(sha256(Buffer.concat(taken))).toBe(sha256(shard));
});

test('a request that fails before its first byte is sent again, each time with its authorisation', async () => {
  const authorised: (string | undefined)[] = [];
  const source = await serve((request, response) => {
    authorised.push(request.headers.authorization);
    if (authorised.length === 1) return void request.socket.destroy();
    answer(response, 5).statusCode = authorised.length === 2 ? 503 : 200;
    response.end('bytes');
  });
  const receiver = await slowReceiver();
  expect(await putThrough(source.url, receiver.url)).toBe(sha256(Buffer.from('bytes')));
  expect(authorised).toEqual(['Bearer b', 'Bearer b', 'Bearer b']);
});

test('a fault that does not pass is what Cloud Storage said', async () => {
  let requests = 0;
  const source = await serve((_request, response) => {
    requests += 1;
    response.statusCode = 503;
    response.end(JSON.stringify({ error: { message: 'come later', errors: [{ reason: 'backendError' }] } }));
  });
  await expect(open(source.url)).rejects.toMatchObject({
    code: 503,
    message: 'come later',
    errors: [{ reason: 'backendError' }],
  });
  expect(requests).toBe(3);
});

test('a refusal is not asked for twice', async () => {
  let requests = 0;
  const source = await serve((_request, response) => {
    requests += 1;
    response.statusCode = 403;
    response.end('no JSON');
  });
  await expect(open(source.url)).rejects.toMatchObject({ code: 403 });
  expect(requests).toBe(1);
});

test.each([
  ['a sentence', 'alice does not have storage.objects.get access to the Google Cloud Storage object.\n'],
  ['JSON', JSON.stringify({ error: { message: 'alice does not have storage.objects.get access' } })],
])('what Cloud Storage says as %s is what is told of the refusal', async (_what, text) => {
  const source = await serve((_request, response) => response.writeHead(403).end(text));
  await expect(open(source.url)).rejects.toThrow(/^alice does not have storage.objects.get access/);
});

test('small bodies keep to the bandwidth, and to one connection', async () => {
  const source = await serve((_request, response) => answer(response, 50_000).end(Buffer.alloc(50_000)));
  const receiver = await slowReceiver();
  let opened = 0;
  receiver.server.on('connection', () => (opened += 1));
  const pace = new Pace(500_000);
  const startedMs = performance.now();
  for (let bodies = 0; bodies < 8; bodies += 1) await putThrough(source.url, receiver.url, pace);
  // The first passes at once.
  expect(performance.now() - startedMs).toBeGreaterThan(690);
  expect(opened).toBe(1);
});

test('a piece that waits for its turn is not sent on once the body was given up', async () => {
  const source = await serve((_request, response) => answer(response, 300_000).end(Buffer.alloc(300_000)));
  const pace = new Pace(300_000);
  const body = await open(source.url, never, pace);
  const written: number[] = [];
  await new Promise<void>((resolve, reject) => {
    const write = (bytes: Buffer, sent: () => void): void => {
      written.push(bytes.length);
      sent();
      resolve();
    };
    body.sendTo({ write }, () => {}, reject);
  });
  body.destroy();
  const turnMs = pace.waitMs(0);
  expect(turnMs).toBeGreaterThan(0);
  await new Promise((resolve) => setTimeout(resolve, turnMs + 20));
  expect(written).toHaveLength(1);
});

test('a request that nobody waits for any more is given up, with the reason', async () => {
  const reason = new Error('cancelled');
  const controller = new AbortController();
  const closed = Promise.withResolvers<string>();
  const source = await serve((request) => {
    request.socket.once('close', () => closed.resolve('closed'));
    controller.abort(reason);
  });
  await expect(open(source.url, controller.signal)).rejects.toBe(reason);
  expect(await closed.promise).toBe('closed');
});

test.each([0, 1, 128 * 1024, 256 * 1024, 256 * 1024 + 1])('a body of %i bytes arrives whole', async (sizeBytes) => {
  const source = await serve((_request, response) => answer(response, sizeBytes).end(Buffer.alloc(sizeBytes)));
  const receiver = await slowReceiver();
  expect(await putThrough(source.url, receiver.url)).toBe(sha256(Buffer.alloc(sizeBytes)));
});

test.each([4, 6])('a body that is not as long as what is stored, %i bytes, breaks', async (sizeBytes) => {
  const source = await serve((_request, response) => answer(response, sizeBytes).end('bytes'));
  await expect(open(source.url).then(bytesOf)).rejects.toThrow(/of \d bytes/);
});

test('a body that ends before its length breaks', async () => {
  const source = await serve((request, response) => {
    answer(response, 1000).setHeader('content-length', 1000);
    response.write(Buffer.alloc(500), () => request.socket.destroy());
  });
  await expect(open(source.url).then(bytesOf)).rejects.toMatchObject({ code: 'ECONNRESET' });
});

test('a body that broke before anybody took it says so to whoever does', async () => {
  const source = await serve(
    (_request, response) => void answer(response, 5).writeHead(200, { 'content-length': 5 }).write('b'),
  );
  const body = await open(source.url);
  source.server.closeAllConnections();
  const broken = await new Promise((resolve) => body.sendTo({ write: (_, sent) => sent() }, () => {}, resolve));
  expect(broken).toMatchObject({ code: 'ECONNRESET' });
  const again = await new Promise((resolve) => body.sendTo({ write: () => {} }, () => {}, resolve));
  expect(again).toBe(broken);
  body.destroy();
});
