import type { Worker } from '@temporalio/worker';
import { stoppable } from '../src/workers';

type State = ReturnType<Worker['getState']>;

/** As far as it is asked here. */
const worker = (run: () => Promise<void>, getState: () => State): Worker => ({ run, getState }) as unknown as Worker;

const never = (): Promise<void> => new Promise(() => {});

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
