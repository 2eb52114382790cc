import { Pace } from '../../src/dump/pace';

function paceOf(bytesPerSecond: number) {
  const clock = { nowMs: 1_000 };
  return { clock, pace: new Pace(bytesPerSecond, () => clock.nowMs) };
}

test('who passes bytes waits as long as they take at the bandwidth', () => {
  const { pace } = paceOf(1_000_000);
  expect(pace.spend(500_000)).toBe(500);
});

test('those who pass bytes at the same time share the bandwidth', () => {
  const { clock, pace } = paceOf(1_000_000);
  expect(pace.spend(100_000)).toBe(100);
  expect(pace.spend(100_000)).toBe(200);
  clock.nowMs += 150;
  expect(pace.spend(100_000)).toBe(150);
});

test('time in which nothing passed is not saved up', () => {
  const { clock, pace } = paceOf(1_000_000);
  pace.spend(100_000);
  clock.nowMs += 60_000;
  expect(pace.spend(100_000)).toBe(100);
});
