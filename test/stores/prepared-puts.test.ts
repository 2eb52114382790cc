/** What is signed and sent, without sending it: the request handler is one of the test's. */
import { PutObjectCommand, S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import type { Readable } from 'node:stream';
import { PreparedPuts, type CommonInput } from '../../src/stores/prepared-puts';
import { S3RequestHandler, type Answer, type SignedRequest } from '../../src/stores/s3-request-handler';
import { Connections } from '../../src/stores/http/connections';
import { connectionTimes } from '../../src/timing';
import { FakeBytes } from '../fakes';

const never = new AbortController().signal;
const common: CommonInput = {
  Bucket: 'acme-data',
  ContentType: 'application/gzip',
  ACL: 'bucket-owner-full-control',
  ExpectedBucketOwner: '111122223333',
};
const stored: Answer = { statusCode: 200, headers: {}, body: new Uint8Array() };

/** Keeps what it is handed, beside rehearsals, and answers it. */
class RecordingHandler extends S3RequestHandler {
  readonly sent: SignedRequest[] = [];
  answer = stored;

  override async handle(request: SignedRequest): Promise<{ response: Answer }> {
    if (!(request.body instanceof FakeBytes)) return super.handle(request);
    this.sent.push(request);
    return { response: this.answer };
  }
}

function setUp(config: S3ClientConfig = {}, input: CommonInput = common) {
  const handler = new RecordingHandler(new Connections(connectionTimes));
  const client = new S3Client({
    region: 'eu-west-1',
    credentials: { accessKeyId: 'key', secretAccessKey: 'secret', sessionToken: 'token' },
    maxAttempts: 1,
    requestHandler: handler,
    ...config,
  });
  const puts = new PreparedPuts(client, handler, input);
  const put = (key: string, sizeBytes = 5, crc32c = 'mnG7TA==') =>
    puts.put(key, new FakeBytes(['hello'], crc32c, sizeBytes), never);
  return { handler, client, put };
}

/** Without what differs from one sending of the same request to the next. */
function comparable({ headers, body: _body, ...request }: SignedRequest): object {
  const kept = Object.entries(headers).filter(([name]) => !/^(authorization|x-amz-date|amz-sdk-.*)$/.test(name));
  const { hostname, method, path, port, protocol, query } = request;
  return { hostname, method, path, port, protocol, query, headers: Object.fromEntries(kept) };
}

test.each<[what: string, config: S3ClientConfig, input: CommonInput]>([
  ['a bucket', {}, common],
  ['a bucket with full stops in its name', {}, { ...common, Bucket: 'acme.data' }],
  ['a bucket at a stand-in', { endpoint: 'http://127.0.0.1:4566', forcePathStyle: true }, common],
  ['a bucket of another partition', { region: 'cn-north-1' }, common],
  ['an encrypted bucket', {}, { ...common, ServerSideEncryption: 'aws:kms', SSEKMSKeyId: 'arn:aws:kms:x:1:key/2' }],
])('a put into %s is the request that the client itself makes', async (_what, config, input) => {
  const { handler, client, put } = setUp(config, input);
  for (const [key, sizeBytes] of [
    ['exports/2023-01-02T15:04/events/events_000000000000.ndjson.gz', 2 * 1024 ** 2 - 1],
    ["odd key/ü+&=*'()!~%2F", 2 * 1024 ** 2],
  ] as const) {
    handler.sent.length = 0;
    await put(key, sizeBytes, 'AAAAAA==');
    const body = new FakeBytes(['hello']) as unknown as Readable;
    const own = { ...input, Key: key, Body: body, ContentLength: sizeBytes, ChecksumCRC32C: 'AAAAAA==' };
    await client.send(new PutObjectCommand(own));
    const [ours, clients] = handler.sent;
    if (ours === undefined || clients === undefined) throw new Error('Two requests should have been sent');
    expect(comparable(ours)).toEqual(comparable(clients));
    expect(ours.headers['x-amz-security-token']).toBe('token');
    expect(ours.headers['authorization']).toMatch(/SignedHeaders=.*content-length.*x-amz-checksum-crc32c.*Signature=/);
  }
});

test('the client is asked for its request once, and each put is signed for itself', async () => {
  const { handler, client, put } = setUp();
  const asked = jest.spyOn(client, 'send');
  await Promise.all(['a', 'b', 'c'].map((key) => put(key)));
  expect(asked).toHaveBeenCalledTimes(1);
  expect(new Set(handler.sent.map(({ headers }) => headers['authorization'])).size).toBe(3);
});

test('a put for which there were no credentials does not stand in the way of those after it', async () => {
  const unavailable = new Error('STS does not answer');
  const credentials = jest.fn().mockRejectedValueOnce(unavailable);
  credentials.mockResolvedValue({ accessKeyId: 'key', secretAccessKey: 'secret' });
  const { handler, put } = setUp({ credentials });
  await expect(put('a')).rejects.toBe(unavailable);
  await put('a');
  expect(handler.sent).toHaveLength(1);
});

const refusal = (statusCode: number, text: string, headers: Record<string, string> = {}): Answer => ({
  statusCode,
  headers: { 'content-type': 'application/xml', ...headers },
  body: Buffer.from(text),
});

test('a refusal is read by the client', async () => {
  const { handler, put } = setUp();
  handler.answer = refusal(
    301,
    '<Error><Code>PermanentRedirect</Code><Message>Elsewhere.</Message><Endpoint>x</Endpoint></Error>',
    { 'x-amz-bucket-region': 'us-west-2' },
  );
  await expect(put('a')).rejects.toMatchObject({
    name: 'PermanentRedirect',
    message: 'Elsewhere.',
    $metadata: { httpStatusCode: 301 },
    $response: { headers: { 'x-amz-bucket-region': 'us-west-2' } },
  });
});

test('whatever is no success fails', async () => {
  const { handler, put } = setUp();
  handler.answer = { ...stored, statusCode: 500 };
  await expect(put('a')).rejects.toMatchObject({ $metadata: { httpStatusCode: 500 } });
});

test('where the clock is wrong, the next put is signed with the time that S3 told', async () => {
  const { handler, put } = setUp();
  const toldMs = Date.now() + 3_600_000;
  handler.answer = refusal(
    403,
    `<Error><Code>RequestTimeTooSkewed</Code><Message>Too far.</Message><ServerTime>${new Date(toldMs).toISOString()}</ServerTime></Error>`,
    { date: new Date(toldMs).toUTCString() },
  );
  await expect(put('a')).rejects.toMatchObject({ name: 'RequestTimeTooSkewed' });
  handler.answer = stored;
  await put('a');
  const [, year, month, day, hour] =
    /^(\d{4})(\d\d)(\d\d)T(\d\d)/.exec(handler.sent[1]?.headers['x-amz-date'] ?? '') ?? [];
  expect(`${year}-${month}-${day}T${hour}`).toBe(new Date(toldMs).toISOString().slice(0, 13));
});
