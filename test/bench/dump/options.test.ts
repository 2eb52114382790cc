import { readOptions } from '../../../bench/dump/options';

test('without options all is measured, and --quick measures fewer dumps', () => {
  expect(readOptions([])).toMatchObject({ parts: ['history', 'overhead', 'throughput'], smallDumps: 20, dumps: 600 });
  expect(readOptions(['--quick'])).toMatchObject({ smallDumps: 5, dumps: 128, inFlight: 32 });
  expect(readOptions(['--help', '--only', 'nothing'])).toBe('help');
});

test.each([
  [['--only', 'history,speed'], "--only takes history, overhead, throughput, not 'speed'."],
  [['--in-flight', '0'], "--in-flight takes a whole number from 1 to 99999, not '0'."],
  [['--job-seconds', '1.5'], "--job-seconds takes a whole number from 0 to 99999, not '1.5'."],
  [['--dumps', '90', '--in-flight', '31'], '--dumps takes at least three times --in-flight, 93'],
  [['--fast'], "Unknown option '--fast'"],
])('%j is refused in a sentence', (args, sentence) => {
  expect(() => readOptions(args)).toThrow(sentence);
});
