import { asInTheClouds, atOnce, extractJobTakesMs } from '../../../bench/dump/services';

test('jobs take what is set, spread evenly and the same each time', () => {
  const times = Array.from({ length: 100 }, (_, number) => extractJobTakesMs(asInTheClouds, number));
  const { shortest, longest } = asInTheClouds.extractJobMs;
  expect(Math.min(...times)).toBeGreaterThanOrEqual(shortest);
  expect(Math.max(...times)).toBeLessThan(longest);
  const below = times.filter((ms) => ms < (shortest + longest) / 2).length;
  expect(below).toBeGreaterThan(45);
  expect(below).toBeLessThan(55);
  expect(times).toEqual(times.map((_, number) => extractJobTakesMs(asInTheClouds, number)));
});

test('services that answer at once have jobs that are done at once', () => {
  expect(extractJobTakesMs(atOnce, 3)).toBe(0);
});
