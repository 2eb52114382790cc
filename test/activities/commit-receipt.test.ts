import { createCommitReceipt } from '../../src/activities/commit-receipt';
import { parseDestination, parseTableName } from '../../src/dump/inputs';
import { commitWithinMs, smallActivityTimeoutMs } from '../../src/timing';
import { dumpEnvironment, exampleSettings, FakeCustomerBuckets } from '../fakes';

const { roleArn, bucket } = exampleSettings;
const startedAt = '2023-01-02T15:04:07.963Z';
const delivered = [{ table: parseTableName('companies'), shardCount: 58 }];

test('the receipt is put as JSON beside the folders, with exactly the fields of the contract', async () => {
  const customerBuckets = new FakeCustomerBuckets();
  const settings = parseDestination({ roleArn, bucket });
  const key: string = await dumpEnvironment().run(createCommitReceipt({ customerBuckets }), {
    settings,
    startedAt,
    delivered,
  });
  expect(key).toBe('receipt.json');
  expect([...customerBuckets.objects.keys()]).toEqual(['receipt.json']);
  const { contentType, content = '' } = customerBuckets.objects.get('receipt.json') ?? {};
  expect(contentType).toBe('application/json');
  expect(JSON.parse(content)).toEqual({
    timestamp: '2023-01-02T15:04:07.963000Z',
    tables: {
      companies: {
        folder: '2023-01-02T15:04/companies',
        total_file_count: 58,
        schemas: { bigquery: '2023-01-02T15:04/schemas/bigquery/companies.json' },
      },
    },
  });
});

test('with a path the receipt is under it, and so is everything that it names', async () => {
  const customerBuckets = new FakeCustomerBuckets();
  const commitReceipt = createCommitReceipt({ customerBuckets });
  const key: string = await dumpEnvironment().run(commitReceipt, { settings: exampleSettings, startedAt, delivered });
  expect(key).toBe('exports/dreamdata/receipt.json');
  expect(JSON.parse(customerBuckets.objects.get(key)?.content ?? '')).toEqual({
    timestamp: '2023-01-02T15:04:07.963000Z',
    tables: {
      companies: {
        folder: 'exports/dreamdata/2023-01-02T15:04/companies',
        total_file_count: 58,
        schemas: { bigquery: 'exports/dreamdata/2023-01-02T15:04/schemas/bigquery/companies.json' },
      },
    },
  });
});

test('S3 is told to refuse it before its attempt can be given up', async () => {
  const customerBuckets = new FakeCustomerBuckets();
  const currentAttemptScheduledTimestampMs = Date.parse('2023-01-02T16:00:00.000Z');
  const input = { settings: exampleSettings, startedAt, delivered };
  await dumpEnvironment({ currentAttemptScheduledTimestampMs }).run(createCommitReceipt({ customerBuckets }), input);
  expect(customerBuckets.validities.get('exports/dreamdata/receipt.json')).toEqual({
    fromMs: currentAttemptScheduledTimestampMs,
    untilMs: currentAttemptScheduledTimestampMs + commitWithinMs,
  });
  expect(commitWithinMs).toBeLessThan(smallActivityTimeoutMs);
});

test('its request is aborted well before the activity times out, so that no later attempt can be overtaken', async () => {
  const timedOut = new AbortController();
  const timeout = jest.spyOn(AbortSignal, 'timeout').mockReturnValue(timedOut.signal);
  const customerBuckets = new FakeCustomerBuckets();
  customerBuckets.beforePut = (_key, signal) =>
    new Promise((_resolve, reject) => {
      signal.addEventListener('abort', () => reject(new Error('aborted')));
      timedOut.abort();
    });
  const commitReceipt = createCommitReceipt({ customerBuckets });
  const input = { settings: exampleSettings, startedAt, delivered };
  await expect(dumpEnvironment().run(commitReceipt, input)).rejects.toThrow('aborted');
  expect(timeout.mock.lastCall?.[0]).toBeLessThanOrEqual(smallActivityTimeoutMs / 2);
  timeout.mockRestore();
});
