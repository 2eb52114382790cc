import http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Worker } from '@temporalio/worker';
import { readWorkerConfig } from '../src/config';
import { streamedShardMemoryBytes } from '../src/stores/staged-file-body';
import { createDeps, runTogether, shardsInFlight, stoppable } from '../src/workers';

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

test('memory that does not hold one shard is refused', () => {
  const limits = { shardsInFlight: 32, copyMemoryMB: 1, copyBandwidthMBPerSecond: undefined };
  expect(() => shardsInFlight(limits)).toThrow(
    /^COPY_MEMORY_MB leaves 1 MB to a process that copies, and one shard takes 1\.05/,
  );
});

describe('together', () => {
  const part = () => {
    const { promise: ended, resolve: end, reject: fail } = Promise.withResolvers<void>();
    return { run: () => ended, stop: jest.fn(() => end()), end, fail };
  };
  const going = new AbortController().signal;

  test('parts run until they are told to stop, before they began or after', async () => {
    const parts = [part(), part()];
    const stopping = new AbortController();
    const running = runTogether(parts, stopping.signal);
    expect(parts.map(({ stop }) => stop.mock.calls.length)).toEqual([0, 0]);
    stopping.abort();
    await running;
    await runTogether([part()], stopping.signal);
  });

  test('where one part ends, the others are stopped', async () => {
    const [ends, lasts] = [part(), part()];
    const running = runTogether([ends, lasts], going);
    ends.end();
    await running;
    expect(lasts.stop).toHaveBeenCalled();
  });

  test('where one part fails, the others are stopped, and it is told when they have ended', async () => {
    const [fails, lasts] = [part(), part()];
    let isEnded = false;
    const slow = { run: () => lasts.run().then(() => void (isEnded = true)), stop: lasts.stop };
    const failure = new Error('Request unauthorized.');
    const running = runTogether([fails, slow], going);
    fails.fail(failure);
    await expect(running).rejects.toBe(failure);
    expect(isEnded).toBe(true);
  });
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
