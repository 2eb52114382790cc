import { readOptions } from '../../../bench/copy/options';
import { InvalidInput } from '../../../src/dump/inputs';

test('without options everything is measured, with TLS and without', () => {
  expect(readOptions([])).toMatchObject({
    quick: false,
    only: ['normal', 'small', 'giant'],
    transports: ['tls', 'plain'],
    settings: {},
  });
});

test('what is asked for is chosen', () => {
  const options = ['--quick', '--only', 'giant,small', '--transport', 'tls', '--processes', '3', '--set', 'A_B=1=2'];
  expect(readOptions(options)).toMatchObject({
    quick: true,
    only: ['small', 'giant'],
    transports: ['tls'],
    processes: 3,
    settings: { A_B: '1=2' },
  });
  expect(readOptions(['--help'])).toBe('help');
});

test.each([
  ['--only', 'normal,huge'],
  ['--transport', 'http'],
  ['--processes', '0'],
  ['--set', 'lower=1'],
])('%s does not take %s', (option, value) => {
  expect(() => readOptions([option, value])).toThrow(InvalidInput);
  expect(() => readOptions([option, value])).toThrow(`${option} takes `);
});
