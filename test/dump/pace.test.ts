import { Pace } from '../../src/dump/pace';

function paceOf(bytesPerSecond: number) {
  const clock = { nowMs: 1_000 };
  return { clock, pace: new Pace(bytesPerSecond, () => clock.nowMs) };
}

test('what comes first passes at once, what comes next waits as long as that takes at the bandwidth', () => {
  const { pace } = paceOf(1_000_000);
  expect(pace.waitMs(500_000)).toBe(0);
  expect(pace.waitMs(1)).toBe(500);
});

test('those who ask at the same time share the bandwidth', () => {
  const { clock, pace } = paceOf(1_000_000);
  expect(pace.waitMs(100_000)).toBe(0);
  expect(pace.waitMs(200_000)).toBe(100);
  clock.nowMs += 150;
  expect(pace.waitMs(100_000)).toBe(150);
});

test('time in which nothing passed is not saved up', () => {
  const { clock, pace } = paceOf(1_000_000);
  pace.waitMs(100_000);
  clock.nowMs += 60_000;
  expect(pace.waitMs(100_000)).toBe(0);
  expect(pace.waitMs(100_000)).toBe(100);
});
