import http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Worker } from '@temporalio/worker';
import { readWorkerConfig } from '../src/config';
import { streamedShardMemoryBytes } from '../src/stores/staged-file-body';
import { createDeps, shardsInFlight, stoppable } from '../src/workers';

type State = ReturnType<Worker['getState']>;

/** As far as it is asked here. */
const worker = (run: () => Promise<void>, getState: () => State): Worker => ({ run, getState }) as unknown as Worker;

const never = (): Promise<void> => new Promise(() => {});

const servers: http.Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

test('a worker that failed ends, also where the SDK never says so', async () => {
  let state: State = 'RUNNING';
  const ended = stoppable(worker(never, () => state)).run();
  state = 'FAILED';
  await expect(ended).rejects.toThrow('A worker has failed: the log says why.');
});

test('a worker ends as the SDK says that it does', async () => {
  await expect(
    stoppable(
      worker(
        async () => {},
        () => 'STOPPED',
      ),
    ).run(),
  ).resolves.toBeUndefined();
  const failure = new Error('Request unauthorized.');
  await expect(
    stoppable(
      worker(
        () => Promise.reject(failure),
        () => 'FAILED',
      ),
    ).run(),
  ).rejects.toBe(failure);
});

test.each([
  ['as many shards as are set are under way', {}, 32],
  ['no more than the memory holds', { copyMemoryMB: (10.5 * streamedShardMemoryBytes) / 1e6 }, 10],
  ['no more than may each send a piece of 128 KiB within ten seconds', { copyBandwidthMBPerSecond: 0.1 }, 7],
  ['one, in the smallest memory', { copyMemoryMB: 0.001 }, 1],
  ['one, at the smallest bandwidth', { copyBandwidthMBPerSecond: 0.001 }, 1],
  [
    'as many as are set, where memory and bandwidth hold more',
    { copyMemoryMB: 1e6, copyBandwidthMBPerSecond: 1e3 },
    32,
  ],
])('%s', (_what, limits, shards) => {
  expect(
    shardsInFlight({ shardsInFlight: 32, copyMemoryMB: undefined, copyBandwidthMBPerSecond: undefined, ...limits }),
  ).toBe(shards);
});

test('shards are read no faster than the bandwidth that is set', async () => {
  const sizeBytes = 400_000;
  const server = http.createServer((_request, response) => {
    const headers = { 'x-goog-stored-content-length': sizeBytes, 'x-goog-hash': 'crc32c=AAAAAA==' };
    response.writeHead(200, headers).end(Buffer.alloc(sizeBytes));
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { staging } = createDeps(
    readWorkerConfig({
      STAGING_BUCKETS: 'EU=acme-staging-eu',
      STORAGE_ENDPOINT: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      COPY_BANDWIDTH_MB_PER_SECOND: '1',
    }),
  );
  const source = await staging.open('acme-staging-eu', 'shard', new AbortController().signal);
  const startedMs = performance.now();
  let sentBytes = 0;
  await new Promise<void>((resolve, reject) => {
    const write = (bytes: Buffer, sent: () => void): void => {
      sentBytes += bytes.length;
      setImmediate(sent);
    };
    source.sendTo({ write }, resolve, reject);
  });
  expect(sentBytes).toBe(sizeBytes);
  expect(performance.now() - startedMs).toBeGreaterThan(380);
  source.destroy();
});
