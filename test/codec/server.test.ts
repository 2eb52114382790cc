import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type http from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { PayloadKeys } from '../../src/codec/keys';
import { EncryptionCodec } from '../../src/codec/payload-codec';
import { createCodecServer } from '../../src/codec/server';
import { readCodecServerConfig } from '../../src/config';

const origin = 'https://temporal.example.com';
const token = 'a'.repeat(32);
const plain = { metadata: { encoding: base64('json/plain') }, data: base64('{"bucket":"acme"}') };
const codec = new EncryptionCodec(new PayloadKeys({ id: 'test', bytes: randomBytes(32) }));

const servers: http.Server[] = [];
afterAll(() => {
  for (const server of servers) {
    server.close();
    server.closeAllConnections();
  }
});

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}

async function started(expected?: string): Promise<string> {
  const server = createCodecServer({ host: '127.0.0.1', port: 0, origin, token: expected }, codec);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

let url: string;
let guarded: string;
beforeAll(async () => {
  url = await started();
  guarded = await started(token);
});

const post = (to: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(to, {
    method: 'POST',
    headers: { 'content-type': 'application/json', origin, ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });

interface Answer {
  readonly payloads: (typeof plain)[];
}

test('what it encodes it decodes, for the UI and for its namespaces', async () => {
  const encoded = await post(`${url}/encode`, { payloads: [plain] });
  expect(encoded.status).toBe(200);
  const { payloads } = (await encoded.json()) as Answer;
  expect(payloads[0]?.metadata.encoding).toBe(base64('binary/encrypted'));
  const decoded = await post(`${url}/default/decode`, { payloads: [...payloads, plain] }, { 'x-namespace': 'default' });
  expect(decoded.headers.get('access-control-allow-origin')).toBe(origin);
  expect(decoded.headers.get('cache-control')).toBe('no-store');
  expect(await decoded.json()).toEqual({ payloads: [plain, plain] });
});

test("an empty message is no payloads: so Temporal's CLI writes the arguments of a query that has none", async () => {
  const response = await post(`${url}/encode`, {});
  expect(response.status).toBe(200);
  expect(await response.json()).toEqual({ payloads: [] });
});

test("a browser is told that the UI's page may ask, with the headers that it sends", async () => {
  const response = await fetch(`${guarded}/decode`, {
    method: 'OPTIONS',
    headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'x-namespace' },
  });
  expect(response.status).toBe(204);
  expect(Object.fromEntries(response.headers)).toMatchObject({
    'access-control-allow-origin': origin,
    'access-control-allow-methods': 'POST',
    'access-control-allow-headers': 'authorization,authorization-extras,content-type,x-namespace',
  });
});

test.each(['https://evil.example', `${origin}.evil.example`, 'http://temporal.example.com', 'null'])(
  'the page %s may not ask',
  async (stranger) => {
    for (const method of ['OPTIONS', 'POST']) {
      const response = await fetch(`${url}/decode`, { method, headers: { origin: stranger } });
      expect(response.status).toBe(403);
      expect(response.headers.get('access-control-allow-origin')).toBeNull();
    }
  },
);

test('with a token, nothing is decoded without it', async () => {
  const body = { payloads: [plain] };
  for (const authorization of [
    '',
    'Bearer ',
    `Bearer ${'b'.repeat(32)}`,
    `Bearer ${token}a`,
    `Basic ${token}`,
    token,
  ]) {
    const response = await post(`${guarded}/decode`, body, { authorization });
    expect(response.status).toBe(401);
    expect(await response.text()).not.toContain(token);
  }
  expect((await post(`${guarded}/decode`, body, { authorization: `Bearer ${token}` })).status).toBe(200);
});

test.each([
  ['no JSON', 'text'],
  ['a list that is none', { payloads: 1 }],
  ['payloads that are none', { payloads: [1, null] }],
  ['data that is no text', { payloads: [{ metadata: {}, data: 7 }] }],
])('%s is refused in a sentence', async (_what, body) => {
  const response = await post(`${url}/decode`, body);
  expect(response.status).toBe(400);
  expect(await response.json()).toEqual({
    message: expect.stringMatching(/^The body is not JSON of the form/) as string,
  });
});

test('a payload of an unknown key is answered with its name', async () => {
  const stranger = {
    metadata: { encoding: base64('binary/encrypted'), 'encryption-key-id': base64('another') },
    data: base64('x'),
  };
  const response = await post(`${url}/decode`, { payloads: [stranger] });
  expect(response.status).toBe(400);
  expect(await response.text()).toContain("the key 'another', which the key file does not hold");
});

test('a body without end is not taken in', async () => {
  let sent = 0;
  const endless = new ReadableStream<Uint8Array>({
    pull(controller) {
      sent += 1_048_576;
      if (sent > 200 * 1_048_576) controller.close();
      else controller.enqueue(new Uint8Array(1_048_576).fill(0x20));
    },
  });
  const request = fetch(`${url}/decode`, { method: 'POST', body: endless, duplex: 'half' });
  const status = await request.then(
    (response) => response.status,
    () => 'cut off',
  );
  expect([413, 'cut off']).toContain(status);
  expect(sent).toBeLessThan(100 * 1_048_576);
});

test.each([
  ['GET', '/decode', 405],
  ['POST', '/', 404],
  ['POST', '/decoder', 404],
])('%s %s is answered with %d', async (method, where, status) => {
  expect((await fetch(`${url}${where}`, { method })).status).toBe(status);
});

describe('its settings', () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'keys-'));
  const keyFile = path.join(folder, 'keys');
  writeFileSync(keyFile, `file ${randomBytes(32).toString('base64')}\n`, { mode: 0o600 });
  afterAll(() => rmSync(folder, { recursive: true }));
  const settings = { PAYLOAD_KEY_FILE: keyFile, CODEC_SERVER_ORIGIN: origin };

  test.each([
    ['no origin', { CODEC_SERVER_ORIGIN: '' }, 'The setting CODEC_SERVER_ORIGIN is missing'],
    ['an origin with a path', { CODEC_SERVER_ORIGIN: `${origin}/` }, 'is not an origin'],
    ['every origin', { CODEC_SERVER_ORIGIN: '*' }, 'is not an origin'],
    ['a port that there is not', { CODEC_SERVER_PORT: '70000' }, "'70000' is not a port"],
    ['a short token', { CODEC_SERVER_TOKEN: 'guess-me' }, 'The setting CODEC_SERVER_TOKEN cannot be used'],
    ['other machines, without a token', { CODEC_SERVER_HOST: '0.0.0.0' }, 'The setting CODEC_SERVER_TOKEN is missing'],
    ['no key file', { PAYLOAD_KEY_FILE: '' }, 'The setting PAYLOAD_KEY_FILE is missing'],
  ])('with %s are refused', (_what, wrong: Record<string, string>, why) => {
    const read = (): unknown => readCodecServerConfig({ ...settings, ...wrong });
    expect(read).toThrow(why);
    expect(read).not.toThrow('guess-me');
  });

  test('are for this machine alone unless others are named', () => {
    const {
      keyFile: [current],
      ...read
    } = readCodecServerConfig(settings);
    expect(current.id).toBe('file');
    expect(read).toEqual({ host: '127.0.0.1', port: 8234, origin, token: undefined });
  });
});
