import { heartbeating } from '../../src/activities/heartbeat';
import { heartbeatEveryMs } from '../../src/timing';
import { createLatch } from '../end-to-end/latch';
import { dumpEnvironment } from '../fakes';

beforeEach(() => void jest.useFakeTimers());
afterEach(() => void jest.useRealTimers());

/** What an activity told that did `work` and counted how often it was asked. */
async function beatsOf(work: () => Promise<unknown>): Promise<unknown[]> {
  const environment = dumpEnvironment();
  const beats: unknown[] = [];
  environment.on('heartbeat', (beat: unknown) => beats.push(beat));
  let asked = 0;
  await environment.run(() => heartbeating(() => ++asked, work)).catch(() => {});
  return beats;
}

test('what soon ends well costs no heartbeat', async () => {
  expect(await beatsOf(async () => 'done')).toEqual([]);
});

test('what takes longer shows every so often that it lives', async () => {
  const work = createLatch<string>();
  const telling = beatsOf(() => work.opened);
  await jest.advanceTimersByTimeAsync(2.5 * heartbeatEveryMs);
  work.open('done');
  expect(await telling).toHaveLength(2);
});

test('what fails tells its last details: the next attempt begins from them', async () => {
  expect(await beatsOf(() => Promise.reject(new Error('no more')))).toEqual([1]);
});

test('what has ended tells nothing more', async () => {
  const environment = dumpEnvironment();
  const beats: unknown[] = [];
  environment.on('heartbeat', (beat: unknown) => beats.push(beat));
  await environment.run(() =>
    heartbeating(
      () => 'alive',
      () => Promise.resolve(),
    ),
  );
  await jest.advanceTimersByTimeAsync(3 * heartbeatEveryMs);
  expect(beats).toEqual([]);
});
