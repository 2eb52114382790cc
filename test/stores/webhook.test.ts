/** The webhook against real receivers of this process. */
import { createHmac } from 'node:crypto';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { AccountId } from '../../src/contract';
import { HttpWebhook, signatureOf, type SentNotice } from '../../src/stores/webhook';

const secret = Buffer.from('MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', 'base64');
const sent: SentNotice = {
  id: 'notice/acc_7Hq2/2023-01-02T15:04/1',
  type: 'dump.recovered',
  timestamp: '2023-01-02T15:10:00.000Z',
  data: {
    account: 'acc_7Hq2' as AccountId,
    folder: '2023-01-02T15:04',
    run: { runId: 'run-é', finishedAt: '2023-01-02T15:00:00.000Z', dataset: 'p.d' },
  },
};

interface Received {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

const servers: http.Server[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

/** A receiver that answers as it is told to, and what it has received. */
async function receiver(answer: (response: http.ServerResponse) => void) {
  const received: Received[] = [];
  const server = http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (data: Buffer) => chunks.push(data));
    request.on('end', () => {
      const { method, url, headers } = request;
      received.push({ method, url, headers, body: Buffer.concat(chunks).toString() });
      answer(response);
    });
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { received, origin, url: new URL(`${origin}/hook/t0ken?key=s3cret`) };
}

const answering = (status: number, headers: http.OutgoingHttpHeaders = {}) =>
  receiver((response) => response.writeHead(status, headers).end('whatever'));

test('a notice is one signed POST of JSON, which a receiver can verify', async () => {
  const { received, url } = await answering(204);
  await new HttpWebhook({ url, secret }).post(sent);
  const [request] = received;
  expect(received).toHaveLength(1);
  expect(request).toMatchObject({ method: 'POST', url: '/hook/t0ken?key=s3cret' });
  expect(request?.headers).toMatchObject({ 'content-type': 'application/json', 'webhook-id': sent.id });
  expect(JSON.parse(request?.body ?? '')).toEqual(sent);
  const timestamp = String(request?.headers['webhook-timestamp']);
  expect(Math.abs(Number(timestamp) - Date.now() / 1000)).toBeLessThan(5);
  const signature = createHmac('sha256', secret)
    .update(`${sent.id}.${timestamp}.${request?.body ?? ''}`)
    .digest('base64');
  expect(request?.headers['webhook-signature']).toBe(`v1,${signature}`);
});

// The test vector of the Standard Webhooks libraries.
test("the signature is the one of the specification's libraries", () => {
  const signature = signatureOf(secret, 'msg_p5jXN8AQM9LWM0D4loKWxJek', '1614265330', '{"test": 2432232314}');
  expect(signature).toBe('v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=');
});

test.each([200, 201, 202, 204])('%i is an answer of a receiver that took the notice', async (status) => {
  const { url } = await answering(status);
  await expect(new HttpWebhook({ url, secret }).post(sent)).resolves.toBeUndefined();
});

test.each([400, 401, 404, 410, 429, 500, 503])(
  '%i is a failure that is tried again, and names no secret',
  async (status) => {
    const { url, origin } = await answering(status);
    await expect(new HttpWebhook({ url, secret }).post(sent)).rejects.toMatchObject({
      type: 'Transient',
      nonRetryable: false,
      message: `The receiver of notices at ${origin} answered ${status} instead of 2xx`,
    });
  },
);

test.each([301, 302, 307, 308])('a redirect (%i) is not followed', async (status) => {
  const elsewhere = await answering(200);
  const { url } = await answering(status, { location: elsewhere.url.href });
  await expect(new HttpWebhook({ url, secret }).post(sent)).rejects.toThrow(`answered ${status} instead of 2xx`);
  expect(elsewhere.received).toEqual([]);
});

test('a receiver that does not answer is given up on after the timeout', async () => {
  const { url, origin } = await receiver(() => {});
  await expect(new HttpWebhook({ url, secret }, 200).post(sent)).rejects.toMatchObject({
    type: 'Transient',
    message: expect.stringContaining(`The receiver of notices at ${origin} did not answer: `) as string,
  });
});

test('a body that never ends is not waited for', async () => {
  const { url } = await receiver((response) => {
    response.writeHead(200);
    response.write('x'.repeat(1000));
  });
  await expect(new HttpWebhook({ url, secret }, 60_000).post(sent)).resolves.toBeUndefined();
});

test('a receiver that is not there is named, and why, without path and query', async () => {
  const { url, origin } = await answering(200);
  const [server] = servers.splice(0);
  await new Promise((resolve) => server?.close(resolve));
  const failure = await new HttpWebhook({ url, secret }).post(sent).catch((error: unknown) => error);
  expect(failure).toMatchObject({
    message: expect.stringMatching(`^The receiver of notices at ${origin} did not answer: .*ECONNREFUSED`) as string,
  });
  const { message, stack, cause } = failure as Error;
  for (const text of [message, stack, String((cause as Error).stack)]) expect(text).not.toMatch(/t0ken|s3cret/);
});
