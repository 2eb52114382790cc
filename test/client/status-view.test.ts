import { identityOfDump, type DestinationStatus, type Fault } from '../../src/contract';
import type { DestinationReport, DumpReport } from '../../src/client/destinations';
import { createProgressView, statusLines } from '../../src/client/status-view';
import { parseDestination, parseModellingRun } from '../../src/dump/inputs';

const nowMs = Date.parse('2023-01-02T15:10:00Z');
const { accountId, folder } = identityOfDump('dump/acc_7Hq2/2023-01-02T15:04');
const run = parseModellingRun(
  { runId: 'run-42', finishedAt: '2023-01-02T15:00:00Z', dataset: 'acme-prod.data' },
  nowMs,
);
const settings = parseDestination({
  roleArn: 'arn:aws:iam::111122223333:role/dreamdata-data-platform',
  bucket: 'acme-dreamdata',
  path: 'exports',
});
const notConnected: DestinationStatus = { accountId, state: 'NotConnected', paused: false, recentDumps: [], notes: [] };
const connected: DestinationStatus = { ...notConnected, state: 'Waiting', settings };
const fault: Fault = {
  type: 'BucketMissing',
  problem: 'S3 refused a put.',
  mender: 'customer',
  remedy: 'create the bucket.',
  retriesHourly: true,
};
const total = { shards: 20, bytes: 40_000_000 };
// Begun again ten seconds ago, after 2 MB: the rate is counted from there.
const since = { shards: 1, bytes: 2_000_000, atMs: nowMs - 10_000 };
const dump: DumpReport = {
  accountId,
  folder,
  run,
  state: 'Running',
  step: 'deliver tables',
  tables: {
    companies: { state: 'delivered', total },
    contacts: { state: 'uploading schema', total },
    events: { state: 'copying', copied: { shards: 5, bytes: 10_000_000 }, total, since },
    revenue: { state: 'extracting' },
    paid_ads: { state: 'waiting' },
  },
  notes: [],
  retrying: [],
};

beforeEach(() => {
  jest.useFakeTimers({ now: nowMs });
});

afterEach(() => {
  jest.useRealTimers();
});

test('a destination that was never connected says so, with the run that waits', () => {
  expect(statusLines({ destination: { ...notConnected, pendingRun: run } })).toEqual([
    'acc_7Hq2 is not connected',
    'state: NotConnected',
    'no dump at work',
    'waiting run: run-42',
  ]);
});

test('a paused destination says so, and where its dumps go', () => {
  expect(statusLines({ destination: { ...connected, paused: true } })[0]).toBe(
    'acc_7Hq2 is paused: s3://acme-dreamdata/exports',
  );
});

test('a dump at work shows for each table how far it is', () => {
  const [, , ...lines] = statusLines({ destination: connected, dump });
  expect(lines).toEqual([
    'dump 2023-01-02T15:04 of run run-42: Running, deliver tables',
    '  companies                delivered: 20 shards, 40.0 MB',
    '  contacts                 uploading schema: 20 shards, 40.0 MB',
    '  events                   copying: 5 of 20 shards, 10.0 MB of 40.0 MB, 800.0 kB/s',
    '  revenue                  extracting',
    '  paid_ads                 waiting',
  ]);
});

test('what needs attention is shown with its type and what to do about it, of a step and of a table', () => {
  const stepFault: Fault = { ...fault, type: 'RoleNotAssumable', problem: 'The customer role cannot be assumed.' };
  const events = { state: 'needs attention', fault, copied: { shards: 5, bytes: 1 }, total } as const;
  const lines = statusLines({
    destination: connected,
    dump: { ...dump, state: 'NeedsAttention', stepFault, tables: { events } },
  });
  expect(lines.slice(1)).toEqual([
    'state: NeedsAttention',
    'dump 2023-01-02T15:04 of run run-42: NeedsAttention, deliver tables',
    '  RoleNotAssumable: The customer role cannot be assumed. To be mended by the customer: create the bucket.',
    '  events                   needs attention: BucketMissing: S3 refused a put. To be mended by the customer: create the bucket.',
  ]);
});

test('what Temporal tries again by itself is shown below the tables', () => {
  const trouble = 'copyShards, attempt 3: Could not put: SlowDown';
  const lines = statusLines({ destination: connected, dump: { ...dump, tables: {}, retrying: [trouble] } });
  expect(lines.slice(3)).toEqual([`  retrying ${trouble}`]);
});

test('the last dump is shown with how it ended, and messages that were not followed with why', () => {
  const delivered = { outcome: 'delivered', folder, runId: 'run-42', total, receiptKey: 'receipt.json' } as const;
  const failed = { outcome: 'failed', folder, runId: 'run-43', reason: 'Staged files are gone' } as const;
  const destination = { ...connected, notes: ['modellingRunSucceeded: The run id is missing.'] };
  expect(
    statusLines({ destination: { ...destination, recentDumps: [failed, delivered], state: 'Delivered' } }).slice(1),
  ).toEqual([
    'state: Delivered',
    'no dump at work',
    'last dump: 2023-01-02T15:04 (run run-42) delivered',
    'not followed: modellingRunSucceeded: The run id is missing.',
  ]);
  expect(statusLines({ destination: { ...destination, recentDumps: [delivered, failed] } })).toContain(
    'last dump: 2023-01-02T15:04 (run run-43) failed: Staged files are gone',
  );
});

test('where nothing can be drawn, a line is printed when it has changed and only then', () => {
  const written: string[] = [];
  const stream = { isTTY: false, write: (text: string) => written.push(text) > 0 };
  const view = createProgressView(stream as unknown as NodeJS.WriteStream);
  const report = (tables: DumpReport['tables']): DestinationReport => ({
    destination: connected,
    dump: { ...dump, tables },
  });

  view.show(report({ companies: { state: 'extracting' }, events: { state: 'waiting' } }));
  expect(written).toEqual([
    'acc_7Hq2 is connected: s3://acme-dreamdata/exports\n',
    'state: Waiting\n',
    'dump 2023-01-02T15:04 of run run-42: Running, deliver tables\n',
    '  companies                extracting\n',
    '  events                   waiting\n',
  ]);

  written.length = 0;
  view.show(report({ companies: { state: 'extracting' }, events: { state: 'waiting' } }));
  expect(written).toEqual([]);

  view.show(report({ companies: { state: 'delivered', total }, events: { state: 'waiting' } }));
  expect(written).toEqual(['  companies                delivered: 20 shards, 40.0 MB\n']);

  // What is as it was before the last change has changed too.
  written.length = 0;
  view.show(report({ companies: { state: 'extracting' }, events: { state: 'waiting' } }));
  expect(written).toEqual(['  companies                extracting\n']);
  view.stop();
});

test('a rate that changes while nothing moves prints no line', () => {
  const written: string[] = [];
  const stream = { isTTY: false, write: (text: string) => written.push(text) > 0 };
  const view = createProgressView(stream as unknown as NodeJS.WriteStream);
  const report = {
    destination: connected,
    dump: { ...dump, tables: { companies: { state: 'copying', copied: total, total, since } } },
  } as const;
  view.show(report);
  expect(written.join('')).toContain('/s');
  written.length = 0;
  jest.setSystemTime(nowMs + 5_000);
  view.show(report);
  expect(written).toEqual([]);
});
