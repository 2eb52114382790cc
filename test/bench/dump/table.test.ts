import { bottleneck } from '../../../bench/dump/table';

const cores = (worker: number, server: number | undefined, all: number) => ({ worker, server, bench: 0, all });

test.each([
  ['the worker’s main thread', { cores: cores(1.2, 0.4, 1.7), eventLoopBusy: 0.95 }, "the worker's main thread"],
  ['the CPU, most of it the server’s', { cores: cores(0.6, 1.2, 1.95), eventLoopBusy: 0.5 }, "Temporal's server uses"],
  ['the CPU, most of it the worker’s', { cores: cores(1.2, 0.6, 1.95), eventLoopBusy: 0.5 }, 'the worker uses'],
  ['neither', { cores: cores(0.2, 0.3, 0.6), eventLoopBusy: 0.2 }, 'waits for the server'],
])('what binds is named: %s', (_what, used, said) => {
  expect(bottleneck(used, 2)).toContain(said);
});
