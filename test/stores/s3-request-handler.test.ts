/** Requests to a server of the test's own. */
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { Connections } from '../../src/stores/http/connections';
import { BodyBroken, Rehearsal, S3RequestHandler, type SignedRequest } from '../../src/stores/s3-request-handler';
import { connectionTimes } from '../../src/timing';
import { FakeBytes } from '../fakes';

const handler = new S3RequestHandler(new Connections(connectionTimes));
let server: http.Server;
let answer: http.RequestListener;
let opened = 0;

beforeAll(async () => {
  server = http.createServer((request, response) => answer(request, response));
  server.on('connection', () => (opened += 1));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

function requestOf(body: unknown, more: Partial<SignedRequest> = {}): SignedRequest {
  const { port } = server.address() as AddressInfo;
  const headers = { host: `127.0.0.1:${port}`, 'content-length': '5' };
  return { method: 'PUT', protocol: 'http:', hostname: '127.0.0.1', port, path: '/b/k', headers, body, ...more };
}

const echo: http.RequestListener = (request, response) => {
  let text = '';
  request.on('data', (data: Buffer) => (text += data.toString()));
  request.on('end', () => response.end(`${request.method} ${request.url} ${text}`));
};

test.each([
  ['text', 'hello'],
  ['bytes', Buffer.from('hello')],
  ['a source', new FakeBytes(['he', 'llo'])],
])('a body of %s is sent, and what is answered comes back', async (_what, body) => {
  answer = echo;
  const { response } = await handler.handle(
    requestOf(body, { query: { 'x-id': 'PutObject', a: ['b c', 'd'], e: null } }),
  );
  expect(response.statusCode).toBe(200);
  expect(Buffer.from(response.body).toString()).toBe('PUT /b/k?x-id=PutObject&a=b%20c&a=d&e= hello');
});

test('requests one after the other share a connection', async () => {
  answer = echo;
  await handler.handle(requestOf('hello'));
  const before = opened;
  for (let times = 0; times < 3; times += 1) await handler.handle(requestOf(new FakeBytes(['hello'])));
  expect(opened).toBe(before);
});

test('a source that breaks is told from a request that fails, and the request has no end', async () => {
  const cutOff = Promise.withResolvers<boolean>();
  answer = (request) => void request.on('close', () => cutOff.resolve(!request.complete)).resume();
  const broken = handler.handle(requestOf(new FakeBytes(['he', new Error('gone')])));
  await expect(broken).rejects.toMatchObject({ name: 'BodyBroken', cause: { message: 'gone' } });
  await expect(broken).rejects.toBeInstanceOf(BodyBroken);
  expect(await cutOff.promise).toBe(true);
});

test('an answer that comes before the end of the body is not waited for longer', async () => {
  answer = (_request, response) => response.writeHead(403).end('<Error/>');
  const { response } = await handler.handle(requestOf(new FakeBytes(['he', undefined])));
  expect(response).toMatchObject({ statusCode: 403 });
});

describe('a store that is asked whether it takes a body', () => {
  const asking = (body: unknown): SignedRequest => {
    const request = requestOf(body);
    return { ...request, headers: { ...request.headers, Expect: '100-continue' } };
  };

  test('is sent it when it says so', async () => {
    answer = echo;
    const { response } = await handler.handle(asking(new FakeBytes(['hello'])));
    expect(Buffer.from(response.body).toString()).toBe('PUT /b/k hello');
  });

  test('is sent nothing where it refuses', async () => {
    const refusing = (_request: http.IncomingMessage, response: http.ServerResponse) => response.writeHead(403).end();
    server.once('checkContinue', refusing);
    const unread = new FakeBytes(['hello']);
    const taken = jest.spyOn(unread, 'sendTo');
    expect(await handler.handle(asking(unread))).toMatchObject({ response: { statusCode: 403 } });
    expect(taken).not.toHaveBeenCalled();
  });

  test('is sent it after a while where it knows nothing of the question', async () => {
    server.once('checkContinue', echo);
    const { response } = await handler.handle(asking(new FakeBytes(['hello'])));
    expect(Buffer.from(response.body).toString()).toBe('PUT /b/k hello');
  });
});

test('a request that is cancelled is given up, with the reason', async () => {
  const reason = new Error('the dump was cancelled');
  await expect(handler.handle(requestOf('hello'), { abortSignal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  const controller = new AbortController();
  answer = () => controller.abort(reason);
  await expect(handler.handle(requestOf('hello'), { abortSignal: controller.signal })).rejects.toBe(reason);
});

test('an answer without end is not kept', async () => {
  answer = (_request, response) => response.end(Buffer.alloc(1_000_000));
  await expect(handler.handle(requestOf('hello'))).rejects.toThrow('more than an error');
});

test('a rehearsal is answered and not sent', async () => {
  answer = () => {
    throw new Error('nothing should be sent');
  };
  const rehearsal = new Rehearsal({ statusCode: 418, headers: {}, body: Buffer.from('tea') });
  const request = requestOf(rehearsal);
  expect(await handler.handle(request)).toEqual({ response: rehearsal.answer });
  expect(rehearsal.request).toBe(request);
});
