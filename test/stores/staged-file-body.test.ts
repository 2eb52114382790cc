/** The body of a shard, from a server of the test's to another. */
import { createHash, randomBytes } from 'node:crypto';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
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

const bodyOf = (url: URL, sizeBytes: number): StagedFileBody =>
  new StagedFileBody(url, {
    connections,
    sizeBytes,
    authorisation: async () => new Headers({ authorization: 'Bearer b' }),
  });

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

/** Puts the body as it is put into S3. Answers with what the receiver hashed. */
async function putThrough(body: StagedFileBody, sizeBytes: number, { hostname, port, pathname, host }: URL) {
  const request = { method: 'PUT', protocol: 'http:', hostname, port: Number(port), path: pathname };
  const headers = { host, 'content-length': String(sizeBytes) };
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
    response.end(shards[Number(new URL(request.url ?? '', 'http://x').searchParams.get('shard'))]);
  });
  const receiver = await slowReceiver();
  const copy = ({ length }: Buffer, shard: number) =>
    putThrough(bodyOf(new URL(`?shard=${shard}`, source.url), length), length, receiver.url);
  expect(await Promise.all(shards.map(copy))).toEqual(shards.map(sha256));
  // With the memory of those before.
  expect(await Promise.all(shards.map(copy))).toEqual(shards.map(sha256));
});

test('bodies one after the other share a connection', async () => {
  let opened = 0;
  const source = await serve((_request, response) => response.end(Buffer.alloc(300_000)));
  source.server.on('connection', () => (opened += 1));
  const receiver = await slowReceiver();
  for (let times = 0; times < 3; times += 1) await putThrough(bodyOf(source.url, 300_000), 300_000, receiver.url);
  expect(opened).toBe(1);
});

/** Takes the first piece and no more. */
const firstPieceOf = (body: StagedFileBody): Promise<Buffer> =>
  new Promise((resolve, reject) => body.sendTo({ write: resolve }, () => {}, reject));

test('a body that is given up closes its connection', async () => {
  const closed = Promise.withResolvers<string>();
  const source = await serve((request, response) => {
    request.socket.once('close', () => closed.resolve('closed'));
    response.write(Buffer.alloc(200_000));
  });
  const body = bodyOf(source.url, 1_000_000);
  await firstPieceOf(body);
  body.destroy();
  expect(await closed.promise).toBe('closed');
});

test('no piece is overwritten while it is being sent, however slowly that goes', async () => {
  const shard = randomBytes(4_000_000);
  const source = await serve((_request, response) => response.end(shard));
  const body = bodyOf(source.url, shard.length);
  const taken: Buffer[] = [];
  await new Promise<void>((resolve, reject) => {
    const write = (bytes: Buffer, sent: () => void): void => {
      const copy = Buffer.from(bytes);
      setTimeout(() => {
        // It was not overwritten while it was being sent.
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
    response.statusCode = authorised.length === 2 ? 503 : 200;
    response.end('bytes');
  });
  const receiver = await slowReceiver();
  expect(await putThrough(bodyOf(source.url, 5), 5, receiver.url)).toBe(sha256(Buffer.from('bytes')));
  expect(authorised).toEqual(['Bearer b', 'Bearer b', 'Bearer b']);
});

test('a fault that does not pass breaks the body, with what Cloud Storage said', async () => {
  let requests = 0;
  const source = await serve((_request, response) => {
    requests += 1;
    response.statusCode = 503;
    response.end(JSON.stringify({ error: { message: 'come later', errors: [{ reason: 'backendError' }] } }));
  });
  const body = bodyOf(source.url, 1_000_000);
  await expect(bytesOf(body)).rejects.toMatchObject({
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
  await expect(bytesOf(bodyOf(source.url, 1000))).rejects.toMatchObject({ code: 403 });
  expect(requests).toBe(1);
});

test.each([0, 1, 128 * 1024, 256 * 1024, 256 * 1024 + 1])('a body of %i bytes arrives whole', async (sizeBytes) => {
  const source = await serve((_request, response) => response.end(Buffer.alloc(sizeBytes)));
  const receiver = await slowReceiver();
  expect(await putThrough(bodyOf(source.url, sizeBytes), sizeBytes, receiver.url)).toBe(
    sha256(Buffer.alloc(sizeBytes)),
  );
});

test.each([
  [4, 'bytes'],
  [6, 'bytes'],
])('a body that is not the %i bytes that were listed breaks', async (sizeBytes, bytes) => {
  const source = await serve((_request, response) => response.end(bytes));
  await expect(bytesOf(bodyOf(source.url, sizeBytes))).rejects.toThrow(/of \d bytes/);
});

test('a body that ends before its length breaks', async () => {
  const source = await serve((request, response) => {
    response.setHeader('content-length', 1000);
    response.write(Buffer.alloc(500), () => request.socket.destroy());
  });
  await expect(bytesOf(bodyOf(source.url, 1000))).rejects.toMatchObject({ code: 'ECONNRESET' });
});

test('a body that is given up when all of it has arrived and not all was read closes its connection too', async () => {
  const closed = Promise.withResolvers<string>();
  const source = await serve((request, response) => {
    request.socket.once('close', () => closed.resolve('closed'));
    response.end(Buffer.alloc(512 * 1024));
  });
  source.server.keepAliveTimeout = 0;
  const body = bodyOf(source.url, 512 * 1024);
  await firstPieceOf(body);
  body.destroy();
  expect(await closed.promise).toBe('closed');
});

test('a body that broke before anybody took it says so to whoever does', async () => {
  const source = await serve((_request, response) => response.end('bytes'));
  const authorisation = async (): Promise<Headers> => {
    throw new Error('there are no credentials');
  };
  const body = new StagedFileBody(source.url, { connections, sizeBytes: 5, authorisation });
  await new Promise(setImmediate);
  await expect(bytesOf(body)).rejects.toThrow('there are no credentials');
});
