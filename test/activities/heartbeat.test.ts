import { setTimeout } from 'node:timers/promises';
import { heartbeating } from '../../src/activities/heartbeat';
import type * as timing from '../../src/timing';
import { dumpEnvironment } from '../fakes';

jest.mock('../../src/timing', () => ({
  ...jest.requireActual<typeof timing>('../../src/timing'),
  heartbeatEveryMs: 20,
}));

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
  const environment = dumpEnvironment();
  let beats = 0;
  const twice = new Promise<void>((resolve) => {
    environment.on('heartbeat', () => {
      if (++beats === 2) resolve();
    });
  });
  await environment.run(() =>
    heartbeating(
      () => 'alive',
      () => twice,
    ),
  );
  expect(beats).toBe(2);
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
  await setTimeout(60);
  expect(beats).toEqual([]);
});
