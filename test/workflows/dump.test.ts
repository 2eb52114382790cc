import type { WorkflowHandle } from '@temporalio/client';
import { WorkflowFailedError } from '@temporalio/client';
import { Context } from '@temporalio/activity';
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import type { Activities } from '../../src/activities';
import { dumpWorkflowId, taskQueues, type FolderName } from '../../src/contract';
import { parseDestination, parseModellingRun } from '../../src/dump/inputs';
import type { dump } from '../../src/workflows';
import { abandonSignal, dumpStatusQuery, retrySignal, supersedeSignal } from '../../src/workflows/messages';
import { quotaRetryDelayMs } from '../../src/timing';
import { eventually } from '../eventually';
import {
  customer,
  gate,
  needsAttention,
  newAccount,
  run,
  scripted,
  staged,
  WorkflowTestEnvironment,
} from './environment';

let environment: WorkflowTestEnvironment;
beforeAll(async () => {
  environment = await WorkflowTestEnvironment.start();
});
afterAll(() => environment.stop());

const folder = '2023-01-02T15:04' as FolderName;
const startedAt = '2023-01-02T15:04:05.678Z';

async function startDump(finishedAt = '2023-01-02T15:00:00.000Z'): Promise<WorkflowHandle<typeof dump>> {
  return environment.client.workflow.start<typeof dump>('dump', {
    taskQueue: taskQueues.control,
    workflowId: dumpWorkflowId(newAccount(), folder),
    args: [
      { run: parseModellingRun(run('run-1', finishedAt), Date.now()), settings: parseDestination(customer), startedAt },
    ],
  });
}

const failureOf = async (handle: WorkflowHandle<typeof dump>) => {
  const error = await handle.result().then(
    () => new Error('the dump did not fail'),
    (failure: unknown) => failure,
  );
  if (!(error instanceof WorkflowFailedError)) throw error;
  return error.cause;
};

const waits = (handle: WorkflowHandle<typeof dump>) =>
  eventually(
    () => handle.query(dumpStatusQuery),
    ({ state }) => state === 'NeedsAttention',
  );

/** The role is assumed, and both tables are being extracted. */
const threeOf = (calls: readonly string[]) =>
  eventually(
    async () => calls.length,
    (count) => count >= 3,
  );

/** An activity that works until it is cancelled, and hears of that by its heartbeats. */
async function untilCancelled(): Promise<never> {
  const context = Context.current();
  const beat = setInterval(() => context.heartbeat(), 100);
  return context.cancelled.finally(() => clearInterval(beat));
}

test('a dump proves access, delivers each table in order, then commits, then clears staging', async () => {
  const { activities, calls } = scripted();
  await environment.withWorker(activities, async () => {
    const outcome = await (await startDump()).result();
    expect(outcome).toEqual({
      outcome: 'delivered',
      folder,
      runId: 'run-1',
      total: { shards: 6, bytes: 6000 },
      receiptKey: 'receipt.json',
    });
  });
  expect(calls[0]).toBe('assumeCustomerRole');
  expect(calls.slice(-2)).toEqual(['commitReceipt', 'clearStaging']);
  for (const table of ['companies', 'events']) {
    const ofTable = calls.filter((call) => call.includes(table));
    expect(ofTable).toEqual([`extractTable ${table}`, `copyShards ${table} 0+3`, `uploadSchema ${table}`]);
  }
});

test('receipts wait for a worker behind no extract and no copy: those have queues of their own', async () => {
  const { activities } = scripted();
  const queues = new Map<unknown, unknown>();
  await environment.withWorker(activities, async () => {
    const handle = await startDump();
    await handle.result();
    for (const { activityTaskScheduledEventAttributes: scheduled } of (await handle.fetchHistory()).events ?? []) {
      if (scheduled) queues.set(scheduled.activityType?.name, scheduled.taskQueue?.name);
    }
  });
  const { control, extract, copy } = taskQueues;
  expect(Object.fromEntries(queues)).toEqual({
    assumeCustomerRole: control,
    extractTable: extract,
    copyShards: copy,
    noticesAreOn: control,
    uploadSchema: control,
    commitReceipt: control,
    clearStaging: control,
  });
});

test('all tables are read as of the instant at which the run finished', async () => {
  const snapshots: number[] = [];
  const { activities } = scripted({
    extractTable: async ({ snapshotMs }) => {
      snapshots.push(snapshotMs);
      return staged(1);
    },
  });
  await environment.withWorker(activities, async () => {
    await (await startDump('2023-01-02T15:00:00.000Z')).result();
  });
  expect(snapshots).toEqual([Date.parse('2023-01-02T15:00:00.000Z'), Date.parse('2023-01-02T15:00:00.000Z')]);
});

test('a run whose clock is ahead of the dump is read as of the start of the dump', async () => {
  const snapshots = new Set<number>();
  const { activities } = scripted({
    extractTable: async ({ snapshotMs }) => {
      snapshots.add(snapshotMs);
      return staged(1);
    },
  });
  await environment.withWorker(activities, async () => {
    await (await startDump('2023-01-02T15:10:00.000Z')).result();
  });
  expect([...snapshots]).toEqual([Date.parse(startedAt)]);
});

test('the tables go side by side', async () => {
  const bothExtracting = gate();
  let extracting = 0;
  const { activities } = scripted({
    extractTable: async () => {
      extracting += 1;
      if (extracting === 2) bothExtracting.open();
      await bothExtracting.opened;
      return staged(1);
    },
  });
  await environment.withWorker(activities, async () => {
    await (await startDump()).result();
  });
  expect(extracting).toBe(2);
});

test('a table without rows is committed with the files that were written for it', async () => {
  const committed: unknown[] = [];
  const { activities } = scripted({
    extractTable: async ({ table }) => staged(table === 'events' ? 0 : 2),
    commitReceipt: async ({ delivered }) => {
      committed.push(delivered);
      return 'receipt.json';
    },
  });
  await environment.withWorker(activities, async () => {
    await (await startDump()).result();
  });
  expect(committed).toEqual([
    [
      { table: 'companies', shardCount: 2 },
      { table: 'events', shardCount: 0 },
    ],
  ]);
});

test('a table that a person must mend waits while the others finish, and hours later goes on where it stopped', async () => {
  let mended = false;
  const { activities, calls } = scripted({
    extractTable: async () => staged(20),
    copyShards: async ({ table, range }) => {
      if (table === 'events' && range.first >= 8 && !mended) throw needsAttention('TableMissing');
      return { shards: range.count, bytes: range.count };
    },
  });
  await environment.withWorker(activities, async () => {
    const handle = await startDump();
    const status = await eventually(
      () => handle.query(dumpStatusQuery),
      ({ tables }) => tables['events']?.state === 'needs attention' && tables['companies']?.state === 'delivered',
    );
    expect(status.state).toBe('NeedsAttention');
    expect(status.tables['events']).toMatchObject({
      fault: { type: 'TableMissing', mender: 'vendor', remedy: 'mend it', retriesHourly: false },
      copied: { shards: 8 },
    });
    await environment.server.sleep('5 hours');
    expect(calls).not.toContain('commitReceipt');
    mended = true;
    calls.length = 0;
    await handle.signal(retrySignal);
    await handle.result();
  });
  expect(calls.slice(0, 2).toSorted()).toEqual(['copyShards events 16+4', 'copyShards events 8+8']);
  expect(calls.slice(2)).toEqual(['uploadSchema events', 'commitReceipt', 'clearStaging']);
});

test('access that was mended without a word is found within the hour', async () => {
  let attempts = 0;
  const { activities } = scripted({
    assumeCustomerRole: async () => {
      attempts += 1;
      if (attempts < 3) throw needsAttention('RoleNotAssumable');
      return { assumedRoleArn: 'arn', awsAccountId: '111122223333', expiresAt: '' };
    },
  });
  await environment.withWorker(activities, async () => {
    const handle = await startDump();
    await expect(handle.result()).resolves.toMatchObject({ outcome: 'delivered' });
  });
  expect(attempts).toBe(3);
});

test.each([
  ['a service that is down is asked ever less often, once a minute at last', {}, 60 + 6],
  ['a quota that is used up is left alone for ten minutes at a time', { nextRetryDelay: quotaRetryDelayMs }, 6 + 1],
])('%s', async (_what, pace, attemptsInAnHourMax) => {
  let attempts = 0;
  let isDown = true;
  const { activities } = scripted({
    copyShards: async ({ table, range }) => {
      if (table === 'companies') attempts += 1;
      if (isDown) throw ApplicationFailure.create({ type: 'Transient', message: 'down', nonRetryable: false, ...pace });
      return { shards: range.count, bytes: range.count };
    },
  });
  await environment.withWorker(activities, async () => {
    const handle = await startDump();
    await eventually(
      async () => attempts,
      (count) => count > 0,
    );
    await environment.server.sleep('1 hour');
    expect(attempts).toBeGreaterThan(attemptsInAnHourMax / 2);
    expect(attempts).toBeLessThanOrEqual(attemptsInAnHourMax);
    isDown = false;
    await expect(handle.result()).resolves.toMatchObject({ outcome: 'delivered' });
  });
});

test('a retry of one table leaves the others waiting', async () => {
  const mended = new Set<string>();
  const { activities } = scripted({
    extractTable: async ({ table }) => {
      if (!mended.has(table)) throw needsAttention('TableMissing');
      return staged(1);
    },
  });
  await environment.withWorker(activities, async () => {
    const handle = await startDump();
    await eventually(
      () => handle.query(dumpStatusQuery),
      ({ tables }) => Object.values(tables).every(({ state }) => state === 'needs attention'),
    );
    mended.add('companies').add('events');
    await handle.signal(retrySignal, 'companies');
    const status = await eventually(
      () => handle.query(dumpStatusQuery),
      ({ tables }) => tables['companies']?.state === 'delivered',
    );
    expect(status.tables['events']?.state).toBe('needs attention');
    await handle.signal(retrySignal, 'events');
    await handle.result();
  });
});

test('a retry that nothing waits for is answered in the status and harms nothing', async () => {
  const extracted = gate();
  const { activities } = scripted({ extractTable: () => extracted.opened.then(() => staged(1)) });
  await environment.withWorker(activities, async () => {
    const handle = await startDump();
    await handle.signal(retrySignal);
    await handle.signal(retrySignal, 'no-such-table');
    await handle.signal(retrySignal, { wrong: true });
    const { notes } = await eventually(
      () => handle.query(dumpStatusQuery),
      ({ notes: taken }) => taken.length === 3,
    );
    expect(notes).toEqual([
      'retry: nothing waits for a retry',
      "retry: table 'no-such-table' does not wait for a retry",
      'retry: give the name of a table as text, or nothing to retry all',
    ]);
    extracted.open();
    await handle.result();
  });
});

test('a waiting dump gives way to a newer run and says so', async () => {
  const { activities, calls } = scripted({
    uploadSchema: async () => {
      throw needsAttention('BucketMissing');
    },
  });
  await environment.withWorker(activities, async () => {
    const handle = await startDump();
    await waits(handle);
    await handle.signal(supersedeSignal, 'run-2');
    expect(await failureOf(handle)).toMatchObject({
      type: 'Superseded',
      message: expect.stringContaining('run-2') as string,
    });
  });
  expect(calls).not.toContain('commitReceipt');
  expect(calls.at(-1)).toBe('clearStaging');
});

test('a dump that is at work finishes although a newer run waits', async () => {
  const extracted = gate();
  const { activities } = scripted({ extractTable: () => extracted.opened.then(() => staged(1)) });
  await environment.withWorker(activities, async () => {
    const handle = await startDump();
    await handle.signal(supersedeSignal, 'run-2');
    extracted.open();
    await expect(handle.result()).resolves.toMatchObject({ outcome: 'delivered' });
  });
});

// Where an activity ends by itself while its cancellation is on the way, the test server, unlike the real one, loses the
// workflow task: so the other table is at work for as long as it is let.
test('staged files that are gone end the dump without a receipt, cancel the other tables and clear staging', async () => {
  const atWork = gate();
  const { activities, calls } = scripted({
    extractTable: async ({ table }) => {
      if (table === 'companies') return atWork.opened.then(() => staged(1));
      atWork.open();
      return untilCancelled();
    },
    copyShards: async () => {
      throw needsAttention('StagingFilesGone');
    },
  });
  await environment.withWorker(activities, async () => {
    expect(await failureOf(await startDump())).toMatchObject({ type: 'StagingFilesGone' });
  });
  expect(calls).not.toContain('commitReceipt');
  expect(calls.at(-1)).toBe('clearStaging');
  expect(calls.filter((call) => call.startsWith('extractTable'))).toHaveLength(2);
});

test('a cancelled dump cancels its activities, writes no receipt and clears staging', async () => {
  let cancelled = 0;
  const extractTable: Activities['extractTable'] = () =>
    untilCancelled().finally(() => {
      cancelled += 1;
    });
  const { activities, calls } = scripted({ extractTable });
  await environment.withWorker(activities, async () => {
    const handle = await startDump();
    await threeOf(calls);
    await handle.cancel();
    expect((await failureOf(handle))?.name).toBe('CancelledFailure');
    expect((await handle.describe()).status.name).toBe('CANCELLED');
  });
  expect(cancelled).toBe(2);
  expect(calls).not.toContain('commitReceipt');
  expect(calls.at(-1)).toBe('clearStaging');
});

test('a cancelled dump that waits for a person ends at once', async () => {
  const { activities, calls } = scripted({
    assumeCustomerRole: async () => {
      throw needsAttention('RoleNotAssumable');
    },
  });
  await environment.withWorker(activities, async () => {
    const handle = await startDump();
    await waits(handle);
    await handle.cancel();
    expect((await failureOf(handle))?.name).toBe('CancelledFailure');
  });
  expect(calls).toEqual(['assumeCustomerRole', 'clearStaging']);
});

test('a dump that is given up while it waits for a person ends at once, and says why', async () => {
  const { activities, calls } = scripted({
    assumeCustomerRole: async () => {
      throw needsAttention('RoleNotAssumable');
    },
  });
  await environment.withWorker(activities, async () => {
    const handle = await startDump();
    await waits(handle);
    await handle.signal(abandonSignal, 'the customer has left');
    expect(await failureOf(handle)).toMatchObject({
      type: 'Abandoned',
      message: 'An operator gave this dump up: the customer has left',
    });
    expect((await handle.describe()).searchAttributes['S3DestinationState']).toEqual(['Abandoned']);
  });
  expect(calls).toEqual(['assumeCustomerRole', 'clearStaging']);
});

test('a dump that is given up at work cancels its activities, writes no receipt and clears staging', async () => {
  const { activities, calls } = scripted({ extractTable: untilCancelled });
  await environment.withWorker(activities, async () => {
    const handle = await startDump();
    await threeOf(calls);
    await handle.signal(abandonSignal);
    expect(await failureOf(handle)).toMatchObject({ type: 'Abandoned', message: 'An operator gave this dump up' });
  });
  expect(calls).not.toContain('commitReceipt');
  expect(calls.at(-1)).toBe('clearStaging');
});

test('a dump that is given up clears staging when its extractions have ended, and not before', async () => {
  const [heard, ended] = [gate(), gate()];
  const { activities, calls } = scripted({
    extractTable: async ({ table }) => {
      try {
        return await untilCancelled();
      } finally {
        heard.open();
        await ended.opened;
        calls.push(`end of ${table}`);
      }
    },
  });
  await environment.withWorker(activities, async () => {
    const handle = await startDump();
    await threeOf(calls);
    await handle.signal(abandonSignal);
    await heard.opened;
    ended.open();
    expect(await failureOf(handle)).toMatchObject({ type: 'Abandoned' });
  });
  expect(calls.slice(3, 5).toSorted()).toEqual(['end of companies', 'end of events']);
  expect(calls.slice(5)).toEqual(['clearStaging']);
});

test('a cancelled dump is cancelled however its extractions end', async () => {
  const { activities, calls } = scripted({
    extractTable: ({ table }) =>
      untilCancelled().catch(() => {
        throw table === 'events'
          ? needsAttention('WarehouseAccessDenied')
          : ApplicationFailure.nonRetryable('BigQuery is down');
      }),
  });
  await environment.withWorker(activities, async () => {
    const handle = await startDump();
    await threeOf(calls);
    await handle.cancel();
    expect(await failureOf(handle)).toBeInstanceOf(CancelledFailure);
    const { tables } = await handle.query(dumpStatusQuery);
    expect(tables['events']).toEqual({ state: 'extracting' });
  });
});

test('a dump cannot be given up once its receipt is asked for, and says so', async () => {
  const [committing, answered] = [gate(), gate()];
  const { activities } = scripted({
    commitReceipt: async () => {
      committing.open();
      await answered.opened;
      return 'receipt.json';
    },
  });
  await environment.withWorker(activities, async () => {
    const handle = await startDump();
    await committing.opened;
    await handle.signal(abandonSignal);
    answered.open();
    await expect(handle.result()).resolves.toMatchObject({ outcome: 'delivered' });
    expect((await handle.query(dumpStatusQuery)).notes).toEqual(['abandon: too late, the receipt is written']);
  });
});

test('a reason that is no text is answered in the status and gives nothing up', async () => {
  const extracted = gate();
  const { activities } = scripted({ extractTable: () => extracted.opened.then(() => staged(1)) });
  await environment.withWorker(activities, async () => {
    const handle = await startDump();
    await handle.signal(abandonSignal, { because: 'wrong' });
    const { notes } = await eventually(
      () => handle.query(dumpStatusQuery),
      ({ notes: taken }) => taken.length === 1,
    );
    expect(notes).toEqual(['abandon: The reason must be text.']);
    extracted.open();
    await expect(handle.result()).resolves.toMatchObject({ outcome: 'delivered' });
  });
});

test('staging that cannot be cleared does not undo a delivered dump, and the status says why', async () => {
  const { activities } = scripted({
    clearStaging: async () => {
      throw needsAttention('StagingAccessDenied');
    },
  });
  await environment.withWorker(activities, async () => {
    const handle = await startDump();
    await expect(handle.result()).resolves.toMatchObject({ outcome: 'delivered' });
    expect(await handle.query(dumpStatusQuery)).toMatchObject({
      state: 'Delivered',
      stagingLeft: 'StagingAccessDenied: mend it',
    });
  });
});

test('the search attributes and the summaries tell an operator what goes on', async () => {
  const { activities } = scripted();
  await environment.withWorker(activities, async () => {
    const handle = await startDump();
    await handle.result();
    const { events } = await handle.fetchHistory();
    const summaries = (events ?? [])
      .map(({ userMetadata }) => userMetadata?.summary?.data)
      .filter((data) => data !== undefined && data !== null)
      .map((data) => JSON.parse(Buffer.from(data).toString()) as string);
    expect(new Set(summaries)).toEqual(
      new Set([
        'assume the customer role',
        'are notices on?',
        'companies: extract',
        'companies: shards 0–2 of 3',
        'companies: schema',
        'events: extract',
        'events: shards 0–2 of 3',
        'events: schema',
        'commit receipt.json',
        'clear staging',
      ]),
    );
    const { searchAttributes } = await handle.describe();
    expect(searchAttributes['S3DestinationState']).toEqual(['Delivered']);
  });
});
