import { median, ratiosOf } from '../../../bench/copy/taken';

test('the median is the middle, or half-way between the two in the middle', () => {
  expect(median([9, 1, 5])).toBe(5);
  expect(median([4, 1, 2, 9])).toBe(3);
  expect(() => median([])).toThrow('no median');
});

test('ratios are ours ÷ rclone: twice as fast is 2, half the CPU is 0.5', () => {
  const ours = { seconds: 2, cpuSeconds: 3, peakRssBytes: 150e6, serversCpuSeconds: undefined };
  const rclone = { seconds: 4, cpuSeconds: 6, peakRssBytes: 100e6, serversCpuSeconds: undefined };
  expect(ratiosOf([{ ours, rclone }])).toEqual({
    throughput: 2,
    cpu: 0.5,
    peakRssMB: 150,
  });
});
