import { bytesText } from '../../src/dump/text';

test.each([
  [0, '0 B'],
  [999, '999 B'],
  [1000, '1.0 kB'],
  [1_234_567, '1.2 MB'],
  [5_000_000_000, '5.0 GB'],
  [12_340_000_000_000_000, '12340.0 TB'],
])('%d bytes are shown as %s', (bytes, text) => {
  expect(bytesText(bytes)).toBe(text);
});

test('a number that would be rounded to a thousand goes to the next unit', () => {
  expect(bytesText(999)).toBe('999 B');
  expect(bytesText(999_999)).toBe('1.0 MB');
});
