/** Cloud Storage through the real client, against fake-gcs-server. */
import { mkdtemp, rm } from 'node:fs/promises';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { Storage } from '@google-cloud/storage';
import { PassThroughClient } from 'google-auth-library';
import { startCloudStorage } from '../../sandbox/cloud-storage';
import { freePort } from '../../sandbox/ports';
import { createStorage } from '../../src/stores/google-clients';
import { GcsStagingBuckets, type StagedFile } from '../../src/stores/staging-bucket';
import { bytesOf } from '../fakes';
import { SilentServer } from '../silent-server';

const bucket = 'vendor-staging-eu';
const missingBucket = 'no-such-bucket';
const never = new AbortController().signal;

let folder: string;
let server: Awaited<ReturnType<typeof startCloudStorage>>;
let storageUrl: string;
let storage: Storage;
let staging: GcsStagingBuckets;

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'staging-test-'));
  server = await startCloudStorage({ port: await freePort(), folder, say: () => {} });
  storageUrl = server.url;
  storage = createStorage({ storage: storageUrl }, 'vendor-prod');
  staging = new GcsStagingBuckets(storage);
  await storage.createBucket(bucket, { location: 'EU' });
});

afterAll(async () => {
  await server?.stop();
  await rm(folder, { recursive: true });
});

const save = (name: string, content: string | Buffer, metadata: { contentEncoding?: string } = {}): Promise<void> =>
  storage
    .bucket(bucket)
    .file(name)
    .save(content, { resumable: false, metadata: { contentType: 'application/octet-stream', ...metadata } });

const namesUnder = async (prefix: string): Promise<string[]> =>
  (await staging.list(bucket, prefix)).map(({ name }) => name);

async function onlyFile(prefix: string): Promise<StagedFile> {
  const [file, ...more] = await staging.list(bucket, prefix);
  if (file === undefined || more.length > 0) throw new Error(`Not one file under ${prefix}`);
  return file;
}

/** Castagnoli's polynomial, bit by bit: another's implementation than the client's or the server's. */
function crc32c(bytes: Buffer): string {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  }
  const result = Buffer.alloc(4);
  result.writeUInt32BE((crc ^ 0xffffffff) >>> 0);
  return result.toString('base64');
}

describe('files are listed', () => {
  test('by prefix, in the order of their names', async () => {
    await save('by-prefix/companies/b', 'b');
    await save('by-prefix/companies/a', 'a');
    await save('by-prefix/companies_2/c', 'c');
    await save('by-prefix-too/d', 'd');
    expect(await namesUnder('by-prefix/companies/')).toEqual(['by-prefix/companies/a', 'by-prefix/companies/b']);
    expect(await namesUnder('by-prefix/nothing/')).toEqual([]);
  });

  test('with their sizes', async () => {
    const content = gzipSync('{"id":"1"}\n');
    await save('metadata/gzip', content);
    expect(await onlyFile('metadata/')).toEqual({ name: 'metadata/gzip', sizeBytes: content.length });
  });

  test('all of them, where Cloud Storage gives a thousand at a time', async () => {
    const names = Array.from({ length: 1_050 }, (_, shard) => `pages/shard_${String(shard).padStart(12, '0')}`);
    for (let first = 0; first < names.length; first += 50) {
      await Promise.all(names.slice(first, first + 50).map((name) => save(name, 'x')));
    }
    const pages = await PagingProxy.start(storageUrl, 1_000);
    try {
      const paged = new GcsStagingBuckets(createStorage({ storage: pages.url }, 'vendor-prod'));
      expect((await paged.list(bucket, 'pages/')).map(({ name }) => name)).toEqual(names);
      expect(pages.listings).toBe(2);
    } finally {
      await pages.stop();
    }
  });
});

describe('a file is read as it is stored', () => {
  const text = '{"id":"1"}\n'.repeat(1_000);
  const content = gzipSync(text);

  test.each([
    ['without a content encoding', 'stored/plain', {}],
    ['with the content encoding gzip', 'stored/encoded', { contentEncoding: 'gzip' }],
  ])('gzip stays gzip, %s', async (_what, name, metadata) => {
    await save(name, content, metadata);
    const source = await staging.open(bucket, name, never);
    expect(source).toMatchObject({ sizeBytes: content.length, crc32c: crc32c(content) });
    expect((await bytesOf(source)).equals(content)).toBe(true);
  });

  test('an empty file too', async () => {
    await save('stored-empty/file', '');
    const source = await staging.open(bucket, 'stored-empty/file', never);
    expect(source).toMatchObject({ sizeBytes: 0, crc32c: 'AAAAAA==' });
    expect(await bytesOf(source)).toHaveLength(0);
  });

  test('one that is not there is StagingFilesGone', async () => {
    await expect(staging.open(bucket, 'vanished/file', never)).rejects.toMatchObject({
      type: 'StagingFilesGone',
      message: expect.stringContaining(`[bucket=${bucket} name=vanished/file]`) as string,
    });
  });

  test('one that is not wanted any more before it was answered has not failed', async () => {
    await save('unwanted/file', content);
    const reason = new Error('cancelled');
    await expect(staging.open(bucket, 'unwanted/file', AbortSignal.abort(reason))).rejects.toBe(reason);
  });
});

describe('texts', () => {
  test('are read as they were written, and are written once', async () => {
    await staging.writeTextOnce(bucket, 'texts/schema.json', '[{"name":"Ångström 日本"}]');
    expect(await staging.readText(bucket, 'texts/schema.json')).toBe('[{"name":"Ångström 日本"}]');
    const [metadata] = await storage.bucket(bucket).file('texts/schema.json').getMetadata();
    expect(metadata.contentType).toBe('application/json');
    await staging.writeTextOnce(bucket, 'texts/schema.json', '[]');
    expect(await staging.readText(bucket, 'texts/schema.json')).toBe('[{"name":"Ångström 日本"}]');
  });

  test('that are missing are StagingFilesGone', async () => {
    await expect(staging.readText(bucket, 'texts/nothing.json')).rejects.toMatchObject({
      type: 'StagingFilesGone',
      nonRetryable: true,
      message: expect.stringContaining(`[bucket=${bucket} name=texts/nothing.json]`) as string,
    });
  });
});

describe('files are deleted', () => {
  test('only under the prefix', async () => {
    for (const name of ['clear/1/a', 'clear/1/b/c', 'clear/10/d', 'clear/2/e']) await save(name, name);
    await staging.deleteAll(bucket, 'clear/1/');
    expect(await namesUnder('clear/')).toEqual(['clear/10/d', 'clear/2/e']);
  });

  test('also where there are none', async () => {
    await expect(staging.deleteAll(bucket, 'clear/nothing/')).resolves.toBeUndefined();
  });

  test('also where another attempt deletes the same ones at the same time', async () => {
    const names = Array.from({ length: 60 }, (_, shard) => `raced/${shard}`);
    await Promise.all(names.map((name) => save(name, name)));
    const attempts = [1, 2, 3].map(() => staging.deleteAll(bucket, 'raced/'));
    expect(await Promise.allSettled(attempts)).toEqual(attempts.map(() => ({ status: 'fulfilled', value: undefined })));
    expect(await namesUnder('raced/')).toEqual([]);
  });
});

test('a missing bucket is a StagingBucketMissing, which names it', async () => {
  const missing = {
    type: 'StagingBucketMissing',
    nonRetryable: true,
    message: expect.stringContaining(`[bucket=${missingBucket}]`) as string,
  };
  await expect(staging.list(missingBucket, '')).rejects.toMatchObject(missing);
  await expect(staging.writeTextOnce(missingBucket, 'schema.json', '[]')).rejects.toMatchObject(missing);
  await expect(staging.deleteAll(missingBucket, 'prefix/')).rejects.toMatchObject(missing);
});

test('a refusal of Cloud Storage is a StagingAccessDenied in every method', async () => {
  const message = 'worker@vendor-prod.iam.gserviceaccount.com does not have storage.objects.list access.';
  const body = { error: { code: 403, message, errors: [{ domain: 'global', reason: 'forbidden', message }] } };
  const refusing = http.createServer((asked, response) => {
    asked.resume().on('end', () => {
      response.writeHead(403, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    });
  });
  const url = await listening(refusing);
  try {
    const refused = new GcsStagingBuckets(createStorage({ storage: url }, 'vendor-prod'));
    const denied = { type: 'StagingAccessDenied', nonRetryable: true };
    await expect(refused.list(bucket, '')).rejects.toMatchObject(denied);
    await expect(refused.readText(bucket, 'schema.json')).rejects.toMatchObject(denied);
    await expect(refused.writeTextOnce(bucket, 'schema.json', '[]')).rejects.toMatchObject(denied);
    await expect(refused.deleteAll(bucket, 'prefix/')).rejects.toMatchObject(denied);
    await expect(refused.open(bucket, 'shard', never)).rejects.toMatchObject(denied);
  } finally {
    await closed(refusing);
  }
});

test('a server that takes a request and never answers is given up in every method, to be tried again', async () => {
  const silent = await SilentServer.start();
  try {
    const unanswered = new GcsStagingBuckets(createStorage({ storage: silent.url }, 'vendor-prod'), {
      requestTimeoutMs: 200,
    });
    const givenUp = { nonRetryable: false, message: expect.stringContaining('no answer within 0.2 s') as string };
    await expect(unanswered.list(bucket, '')).rejects.toMatchObject(givenUp);
    await expect(unanswered.readText(bucket, 'schema.json')).rejects.toMatchObject(givenUp);
    await expect(unanswered.writeTextOnce(bucket, 'schema.json', '[]')).rejects.toMatchObject(givenUp);
    await expect(unanswered.deleteAll(bucket, 'prefix/')).rejects.toMatchObject(givenUp);
  } finally {
    await silent.stop();
  }
});

test('credentials that never come are given up, and waited for by nobody who has been cancelled', async () => {
  const authClient = Object.assign(new PassThroughClient(), { getRequestHeaders: () => new Promise<never>(() => {}) });
  const withoutAnswer = new Storage({ apiEndpoint: storageUrl, projectId: 'vendor-prod', authClient });
  const quick = new GcsStagingBuckets(withoutAnswer, { requestTimeoutMs: 20 });
  await expect(quick.open(bucket, 'shard', never)).rejects.toMatchObject({
    nonRetryable: false,
    message: expect.stringContaining('no answer within 0.02 s') as string,
  });
  const cancelled = new AbortController();
  const opening = new GcsStagingBuckets(withoutAnswer).open(bucket, 'shard', cancelled.signal);
  const reason = new Error('cancelled');
  cancelled.abort(reason);
  await expect(opening).rejects.toBe(reason);
});

/** Cloud Storage lists a page at a time whether asked to or not; the stand-in does it only when asked. */
class PagingProxy {
  listings = 0;

  private constructor(
    readonly url: string,
    private readonly listener: http.Server,
  ) {}

  static async start(target: string, pageLength: number): Promise<PagingProxy> {
    const paging = http.createServer((asked, response) => {
      const url = new URL(asked.url ?? '/', target);
      url.searchParams.set('maxResults', String(pageLength));
      proxy.listings++;
      http.get(url, (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
      });
    });
    const proxy = new PagingProxy(await listening(paging), paging);
    return proxy;
  }

  stop(): Promise<void> {
    return closed(this.listener);
  }
}

async function listening(listener: http.Server): Promise<string> {
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(listener.address() as AddressInfo).port}`;
}

async function closed(listener: http.Server): Promise<void> {
  listener.closeAllConnections();
  await new Promise((resolve) => listener.close(resolve));
}
