import type { FolderName, Fault, NoticeEvent, TableName } from '../../src/contract';
import { Notices, type Teller } from '../../src/workflows/notices';

const companies = { table: 'companies' as TableName };
const events = { table: 'events' as TableName };
const fault = (type: Fault['type']): Fault => ({
  type,
  problem: `${type}.`,
  mender: 'customer',
  remedy: 'mend it',
  retriesHourly: true,
});
const delivered = {
  outcome: 'delivered',
  folder: '2023-01-02T15:04' as FolderName,
  runId: 'run-1',
  total: { shards: 1, bytes: 1000 },
  receiptKey: 'receipt.json',
} as const;

/** Keeps what is told. What is gathered waits until `gathered`. */
function scriptedTeller({ areOn = true }: { areOn?: boolean } = {}) {
  const told: NoticeEvent[] = [];
  const times: number[] = [];
  const gathering: (() => void)[] = [];
  const asked = { count: 0 };
  let nowMs = 0;
  const teller: Teller = {
    nowMs: () => (nowMs += 1),
    areOn: async () => {
      asked.count += 1;
      return areOn;
    },
    gather: () => new Promise((resolve) => gathering.push(resolve)),
    tell: async (event, atMs) => {
      told.push(event);
      times.push(atMs);
    },
  };
  const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const gathered = async (): Promise<void> => {
    await settled();
    for (const resolve of gathering.splice(0)) resolve();
    await settled();
  };
  return { notices: new Notices(teller), told, times, gathering, asked, gathered, settled };
}

const lines = (told: readonly NoticeEvent[]): string[] =>
  told.map((event) =>
    event.type === 'dump.needs-attention'
      ? `needs attention: ${event.faults.map((one) => `${'table' in one ? one.table : one.step} ${one.type}`).join(', ')}`
      : event.type,
  );

test('tables that fail at about the same time are told of together, as of the first', async () => {
  const { notices, told, times, gathered } = scriptedTeller();
  notices.needsAttention(companies, fault('BucketAccessDenied'));
  notices.needsAttention(events, fault('BucketAccessDenied'));
  await gathered();
  expect(lines(told)).toEqual(['needs attention: companies BucketAccessDenied, events BucketAccessDenied']);
  expect(times).toEqual([1]);
});

test('what fails later is told of by itself', async () => {
  const { notices, told, gathered } = scriptedTeller();
  notices.needsAttention(companies, fault('TableMissing'));
  await gathered();
  notices.needsAttention(events, fault('TableMissing'));
  await gathered();
  expect(lines(told)).toEqual(['needs attention: companies TableMissing', 'needs attention: events TableMissing']);
});

test('what fails again as it was told is no news, what fails otherwise is', async () => {
  const { notices, told, gathered } = scriptedTeller();
  for (const type of ['BucketMissing', 'BucketMissing', 'BucketAccessDenied', 'BucketAccessDenied'] as const) {
    notices.needsAttention(companies, fault(type));
    await gathered();
  }
  expect(lines(told)).toEqual([
    'needs attention: companies BucketMissing',
    'needs attention: companies BucketAccessDenied',
  ]);
});

test('what is back to what was told before anybody heard otherwise is no news', async () => {
  const { notices, told, gathered } = scriptedTeller();
  notices.needsAttention(companies, fault('BucketMissing'));
  await gathered();
  notices.needsAttention(companies, fault('KmsDenied'));
  notices.needsAttention(companies, fault('BucketMissing'));
  await gathered();
  expect(lines(told)).toEqual(['needs attention: companies BucketMissing']);
});

test('the dump has recovered when all that was told of has succeeded, and is told so once', async () => {
  const { notices, told, gathered, settled } = scriptedTeller();
  notices.needsAttention(companies, fault('BucketMissing'));
  notices.needsAttention(events, fault('BucketMissing'));
  await gathered();
  notices.mended(companies);
  await settled();
  expect(told).toHaveLength(1);
  notices.mended(events);
  notices.mended(events);
  await settled();
  expect(lines(told).slice(1)).toEqual(['dump.recovered']);
});

test('what was mended before anybody was told is not told of', async () => {
  const { notices, told, gathered } = scriptedTeller();
  notices.needsAttention(companies, fault('BucketMissing'));
  notices.mended(companies);
  await gathered();
  await notices.ended(delivered);
  expect(lines(told)).toEqual(['dump.delivered']);
});

test('a dump has not recovered while something untold waits, and has once that is mended too', async () => {
  const { notices, told, gathered, settled } = scriptedTeller();
  notices.needsAttention(companies, fault('BucketMissing'));
  await gathered();
  notices.needsAttention(events, fault('TableMissing'));
  notices.mended(companies);
  await settled();
  expect(told).toHaveLength(1);
  notices.mended(events);
  await gathered();
  expect(lines(told).slice(1)).toEqual(['dump.recovered']);
});

test('a dump that fails again after it has recovered is told of again', async () => {
  const { notices, told, gathered } = scriptedTeller();
  notices.needsAttention(companies, fault('BucketMissing'));
  await gathered();
  notices.mended(companies);
  notices.needsAttention(companies, fault('BucketMissing'));
  await gathered();
  const missing = 'needs attention: companies BucketMissing';
  expect(lines(told)).toEqual([missing, 'dump.recovered', missing]);
});

test('what comes while a notice is handed over is told next', async () => {
  const { notices, told, gathered, settled } = scriptedTeller();
  notices.needsAttention(companies, fault('BucketMissing'));
  const handedOver = gathered();
  await settled();
  notices.needsAttention(events, fault('TableMissing'));
  await handedOver;
  await gathered();
  expect(lines(told).join()).toContain('companies BucketMissing');
  expect(lines(told).join()).toContain('events TableMissing');
});

test('what waits to be told when the dump ends is told before its end', async () => {
  const { notices, told, times, settled } = scriptedTeller();
  notices.needsAttention({ step: 'assume role' }, fault('RoleNotAssumable'));
  await settled();
  await notices.ended({ ...delivered, outcome: 'superseded', reason: 'run-2 is delivered instead' });
  expect(lines(told)).toEqual(['needs attention: assume role RoleNotAssumable', 'dump.superseded']);
  expect(told[1]).toEqual({ type: 'dump.superseded', reason: 'run-2 is delivered instead' });
  expect(times).toEqual([1, 2]);
});

test('gathering that is over after the end tells nothing more', async () => {
  const { notices, told, gathered } = scriptedTeller();
  notices.needsAttention(companies, fault('BucketMissing'));
  await notices.ended(delivered);
  await gathered();
  expect(lines(told)).toEqual(['needs attention: companies BucketMissing', 'dump.delivered']);
});

test('a delivered dump tells the receipt and the total', async () => {
  const { notices, told } = scriptedTeller();
  await notices.ended(delivered);
  expect(told).toEqual([{ type: 'dump.delivered', receiptKey: 'receipt.json', total: { shards: 1, bytes: 1000 } }]);
});

test('where notices are off nothing is gathered and nothing told', async () => {
  const { notices, told, gathering, asked, gathered } = scriptedTeller({ areOn: false });
  notices.needsAttention(companies, fault('BucketMissing'));
  await gathered();
  expect(gathering).toEqual([]);
  notices.mended(companies);
  await notices.ended(delivered);
  expect(told).toEqual([]);
  expect(asked.count).toBe(2);
});
