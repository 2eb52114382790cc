/** Connections to servers of the test's own, with TLS and without. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import net, { type AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import tls from 'node:tls';
import v8 from 'node:v8';
import vm from 'node:vm';
import { createCertificate } from '../../../sandbox/certificate';
import type { Connection } from '../../../src/stores/http/connection';
import { Connections } from '../../../src/stores/http/connections';
import { requestHead } from '../../../src/stores/http/request-head';
import { eventually } from '../../eventually';

const times = { connectMs: 5_000, stallMs: 5_000, idleMs: 5_000 };
const servers: (net.Server | http.Server)[] = [];
const sockets = new Set<net.Socket>();
let folder: string;
let certificate: { cert: Buffer; key: Buffer };

beforeAll(async () => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'connections-'));
  const { certificateFile, keyFile } = await createCertificate(folder);
  certificate = { cert: readFileSync(certificateFile), key: readFileSync(keyFile) };
});

afterEach(() => {
  for (const socket of sockets) socket.destroy();
  for (const server of servers.splice(0)) server.close();
});

afterAll(() => rmSync(folder, { recursive: true }));

async function listening<T extends net.Server>(server: T, protocol = 'http:'): Promise<{ server: T; origin: URL }> {
  servers.push(server);
  server.on('connection', (socket: net.Socket) => void sockets.add(socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return { server, origin: new URL(`${protocol}//127.0.0.1:${port}`) };
}

interface Answer {
  readonly status: number;
  readonly body: string;
}

/** Asks by GET, and gives the connection back. */
async function get(connections: Connections, origin: URL, target = '/'): Promise<Answer> {
  const connection = connections.take(origin);
  try {
    return await answerOf(connection, requestHead({ method: 'GET', target, headers: { host: origin.host } }));
  } finally {
    connections.give(origin, connection);
  }
}

function answerOf(connection: Connection, head: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    let status = 0;
    let body = '';
    connection.ask(head, {
      head: (given) => (status = given.status),
      body: (bytes) => (body += bytes.toString()),
      end: () => resolve({ status, body }),
      broken: reject,
    });
    connection.endBody();
  });
}

test.each(['http:', 'https:'])('a connection by %s is kept and asked again', async (protocol) => {
  const answer: http.RequestListener = ({ url }, response) => response.end(`you asked ${url ?? ''}`);
  const { server, origin } = await listening(
    protocol === 'https:' ? https.createServer(certificate, answer) : http.createServer(answer),
    protocol,
  );
  let opened = 0;
  server.on(protocol === 'https:' ? 'secureConnection' : 'connection', () => (opened += 1));
  const trusted = tls.getCACertificates('default');
  tls.setDefaultCACertificates([...trusted, certificate.cert.toString()]);
  try {
    const connections = new Connections(times);
    for (const target of ['/1', '/2', '/3']) {
      expect(await get(connections, origin, target)).toEqual({ status: 200, body: `you asked ${target}` });
    }
    expect(opened).toBe(1);
  } finally {
    tls.setDefaultCACertificates(trusted);
  }
});

test('a certificate that nobody vouches for is refused', async () => {
  const { origin } = await listening(
    https.createServer(certificate, (_request, response) => response.end()),
    'https:',
  );
  await expect(get(new Connections(times), origin)).rejects.toMatchObject({ code: 'DEPTH_ZERO_SELF_SIGNED_CERT' });
});

test('a connection that the store closed is not used again', async () => {
  const { server, origin } = await listening(http.createServer((_request, response) => response.end('ok')));
  const connections = new Connections(times);
  const connection = connections.take(origin);
  await answerOf(connection, requestHead({ method: 'GET', target: '/', headers: { host: origin.host } }));
  connections.give(origin, connection);
  await eventually(
    async () => {
      server.closeIdleConnections();
      return connection.isOpen;
    },
    (isOpen) => !isOpen,
  );
  expect(connections.take(origin)).not.toBe(connection);
});

test('a connection that nobody uses is closed', async () => {
  const { origin } = await listening(http.createServer((_request, response) => response.end('ok')));
  const connections = new Connections({ ...times, idleMs: 20 });
  const connection = connections.take(origin);
  await answerOf(connection, requestHead({ method: 'GET', target: '/', headers: { host: origin.host } }));
  connections.give(origin, connection);
  expect(connection.isOpen).toBe(true);
  expect(
    await eventually(
      async () => connection.isOpen,
      (isOpen) => !isOpen,
    ),
  ).toBe(false);
});

test('a connection that was closed is not held: there is an origin for each customer, and each has memory of its own', async () => {
  v8.setFlagsFromString('--expose-gc');
  const collectGarbage = vm.runInNewContext('gc') as () => void;
  const connections = new Connections({ ...times, idleMs: 50 });
  const used: WeakRef<Connection>[] = [];
  for (let origins = 0; origins < 3; origins += 1) {
    const { origin } = await listening(http.createServer((_request, response) => response.end('ok')));
    used.push(...(await useSideBySide(connections, origin)));
  }
  expect(used).toHaveLength(12);
  await eventually(
    async () => {
      collectGarbage();
      return used.filter((connection) => connection.deref() !== undefined).length;
    },
    (held) => held === 0,
  );
});

/** A function of its own, so that nothing here holds them. */
async function useSideBySide(connections: Connections, origin: URL): Promise<WeakRef<Connection>[]> {
  const taken = Array.from({ length: 4 }, () => connections.take(origin));
  const head = requestHead({ method: 'GET', target: '/', headers: { host: origin.host } });
  await Promise.all(taken.map((connection) => answerOf(connection, head)));
  for (const connection of taken) connections.give(origin, connection);
  return taken.map((connection) => new WeakRef(connection));
}

test('what is answered before all was asked ends its connection', async () => {
  const { origin } = await listening(http.createServer((_request, response) => response.writeHead(403).end('no')));
  const connections = new Connections(times);
  const connection = connections.take(origin);
  const head = requestHead({ method: 'PUT', target: '/', headers: { host: origin.host, 'content-length': '10' } });
  const answer = await new Promise<number>((resolve, reject) => {
    connection.ask(head, { head: ({ status }) => resolve(status), body: () => {}, end: () => {}, broken: reject });
  });
  expect(answer).toBe(403);
  connections.give(origin, connection);
  expect(connection.isOpen).toBe(false);
});

test('a store that does not answer is given up', async () => {
  const { origin } = await listening(net.createServer(() => {}));
  const quick = new Connections({ ...times, stallMs: 50 });
  await expect(get(quick, origin)).rejects.toMatchObject({ name: 'TimeoutError', message: /No byte .* 50 ms/ });
});

test('a store that takes the connection and does not speak TLS is given up in the time that connecting has', async () => {
  const { origin } = await listening(
    net.createServer(() => {}),
    'https:',
  );
  const quick = new Connections({ ...times, connectMs: 300 });
  const startedMs = performance.now();
  await expect(get(quick, origin)).rejects.toMatchObject({ name: 'TimeoutError', message: /did not stand .* 300 ms/ });
  expect(performance.now() - startedMs).toBeLessThan(times.stallMs);
});

test('a store that nobody reaches, breaks off or speaks something else breaks the connection', async () => {
  const { server, origin } = await listening(net.createServer());
  server.close();
  await expect(get(new Connections(times), origin)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  const cutting = await listening(
    net.createServer((socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n1')),
  );
  await expect(get(new Connections(times), cutting.origin)).rejects.toMatchObject({ code: 'ECONNRESET' });
  const other = await listening(net.createServer((socket) => socket.write('220 mail.example ESMTP\r\n\r\n')));
  await expect(get(new Connections(times), other.origin)).rejects.toMatchObject({ name: 'MalformedResponse' });
});

test('what reads an answer may find that it cannot go on', async () => {
  const { origin } = await listening(http.createServer((_request, response) => response.end('ok')));
  const connection = new Connections(times).take(origin);
  const broken = await new Promise<Error>((resolve) => {
    connection.ask(requestHead({ method: 'GET', target: '/', headers: { host: origin.host } }), {
      head: () => {},
      body: () => {
        throw new Error('too much');
      },
      end: () => {},
      broken: resolve,
    });
  });
  expect(broken.message).toBe('too much');
  expect(connection.isOpen).toBe(false);
});
