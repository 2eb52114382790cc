/**
 * What a dump tells, and that nobody waits for whoever is told. On a dev server: where a child has ended after its parent,
 * the time-skipping server skips no time any more and loses tasks.
 */
import type { WorkflowHandle } from '@temporalio/client';
import { startDevServer } from '../../sandbox/temporal-server';
import type { Activities } from '../../src/activities';
import {
  dumpWorkflowId,
  noticeWorkflowId,
  taskQueues,
  type AccountId,
  type FolderName,
  type Notice,
} from '../../src/contract';
import { parseDestination, parseModellingRun } from '../../src/dump/inputs';
import { noticeRefused } from '../../src/failures';
import type { dump, notice } from '../../src/workflows';
import { abandonSignal, dumpStatusQuery, retrySignal, supersedeSignal } from '../../src/workflows/messages';
import { eventually } from '../eventually';
import { customer, needsAttention, newAccount, run, scripted, WorkflowTestEnvironment } from './environment';

let environment: WorkflowTestEnvironment;
beforeAll(async () => {
  environment = await WorkflowTestEnvironment.start(startDevServer);
});
afterAll(() => environment.stop());

const folder = '2023-01-02T15:04' as FolderName;
const startedAt = '2023-01-02T15:04:05.678Z';

async function startDump(account: AccountId): Promise<WorkflowHandle<typeof dump>> {
  return environment.client.workflow.start<typeof dump>('dump', {
    taskQueue: taskQueues.control,
    workflowId: dumpWorkflowId(account, folder),
    args: [
      {
        run: parseModellingRun(run('run-1', '2023-01-02T15:00:00.000Z'), Date.now()),
        settings: parseDestination(customer),
        startedAt,
      },
    ],
  });
}

/** A worker that has a receiver, and what was sent to it. */
function withReceiver(replaced: Partial<Activities> = {}) {
  const sent: Notice[] = [];
  const { activities } = scripted({
    noticesAreOn: async () => true,
    sendNotice: async (received) => void sent.push(received),
    ...replaced,
  });
  return { activities, sent };
}

const noticeOf = (account: AccountId, number: number): WorkflowHandle<typeof notice> =>
  environment.client.workflow.getHandle(noticeWorkflowId(account, folder, number));

/** The first notices of a dump as they were started, whether or not they have been taken. */
async function told(account: AccountId, count: number): Promise<Notice[]> {
  const histories = await Promise.all(
    Array.from({ length: count }, (_, index) => noticeOf(account, index + 1).fetchHistory()),
  );
  return histories.map(({ events }) => {
    const [input] = events?.[0]?.workflowExecutionStartedEventAttributes?.input?.payloads ?? [];
    return JSON.parse(Buffer.from(input?.data ?? '').toString()) as Notice;
  });
}

const types = (notices: readonly Notice[]): string[] => notices.map(({ type }) => type);

const isMissing = (handle: WorkflowHandle): Promise<boolean> =>
  handle.describe().then(
    () => false,
    () => true,
  );

const waits = (handle: WorkflowHandle<typeof dump>) =>
  eventually(
    () => handle.query(dumpStatusQuery),
    ({ state }) => state === 'NeedsAttention',
  );

const isTold = (sent: readonly Notice[], count: number) =>
  eventually(
    async () => sent.length,
    (length) => length >= count,
  );

/** Also keeps a test's notices from outliving its workers. */
async function allTaken(account: AccountId, count: number): Promise<void> {
  for (let number = 1; number <= count; number += 1) await noticeOf(account, number).result();
}

/** Tries again what waits, and returns all that the dump has told when it is delivered. */
async function deliveredAfterRetry(handle: WorkflowHandle<typeof dump>, account: AccountId): Promise<Notice[]> {
  await handle.signal(retrySignal);
  await handle.result();
  await allTaken(account, 3);
  expect(await isMissing(noticeOf(account, 4))).toBe(true);
  return told(account, 3);
}

/** A role that cannot be assumed until it is mended. */
function unassumable() {
  const role = { isMended: false, attempts: 0 };
  const assumeCustomerRole: Activities['assumeCustomerRole'] = async () => {
    role.attempts += 1;
    if (!role.isMended) throw needsAttention('RoleNotAssumable');
    return { assumedRoleArn: '', awsAccountId: '', expiresAt: '' };
  };
  return { role, assumeCustomerRole };
}

const refusal = noticeRefused(new URL('https://receiver.example/hook?key=secret'), 500);

test('a receiver that takes nothing delays neither the dump nor the next', async () => {
  const [first, next] = [newAccount(), newAccount()];
  let takes = false;
  const { activities } = withReceiver({
    sendNotice: async () => {
      if (!takes) throw refusal;
    },
  });
  await environment.withWorker(activities, async () => {
    for (const account of [first, next]) {
      const handle = await startDump(account);
      await handle.result();
      const { startTime, closeTime } = await handle.describe();
      expect(Number(closeTime) - Number(startTime)).toBeLessThan(60_000);
      expect((await noticeOf(account, 1).describe()).status.name).toBe('RUNNING');
    }
    takes = true;
    await Promise.all([allTaken(first, 1), allTaken(next, 1)]);
  });
});

test('a dump that waits, is mended and delivered tells so, in order, each by an id of its own', async () => {
  const account = newAccount();
  const { role, assumeCustomerRole } = unassumable();
  const { activities, sent } = withReceiver({ assumeCustomerRole });
  await environment.withWorker(activities, async () => {
    const handle = await startDump(account);
    await waits(handle);
    await isTold(sent, 1);
    role.isMended = true;
    const notices = await deliveredAfterRetry(handle, account);
    expect(types(notices)).toEqual(['dump.needs-attention', 'dump.recovered', 'dump.delivered']);
    expect(sent).toHaveLength(3);
    const common = {
      account,
      folder,
      run: { runId: 'run-1', finishedAt: '2023-01-02T15:00:00.000Z', dataset: 'vendor-prod.data_platform' },
    };
    expect(notices.map(({ data }) => data)).toEqual([
      {
        ...common,
        faults: [
          {
            step: 'assume role',
            type: 'RoleNotAssumable',
            problem: 'RoleNotAssumable.',
            mender: 'customer',
            remedy: 'mend it',
            retriesHourly: true,
          },
        ],
      },
      common,
      { ...common, receiptKey: 'receipt.json', total: { shards: 6, bytes: 6000 } },
    ]);
    for (const { timestamp } of notices) expect(new Date(timestamp).toISOString()).toBe(timestamp);
    const first = await noticeOf(account, 1).describe();
    expect(first.searchAttributes['S3DestinationAccount']).toEqual([account]);
    expect(await first.staticSummary()).toBe(`${account}: dump.needs-attention ${folder} RoleNotAssumable`);
  });
});

test('tables that fail together come as one notice', async () => {
  const account = newAccount();
  let isMended = false;
  const { activities, sent } = withReceiver({
    copyShards: async ({ range }) => {
      if (!isMended) throw needsAttention('BucketAccessDenied');
      return { shards: range.count, bytes: 1 };
    },
  });
  await environment.withWorker(activities, async () => {
    const handle = await startDump(account);
    await eventually(
      () => handle.query(dumpStatusQuery),
      ({ tables }) => Object.values(tables).every(({ state }) => state === 'needs attention'),
    );
    await isTold(sent, 1);
    isMended = true;
    const notices = await deliveredAfterRetry(handle, account);
    expect(types(notices)).toEqual(['dump.needs-attention', 'dump.recovered', 'dump.delivered']);
    expect(notices[0]?.data['faults']).toHaveLength(2);
  });
});

test('the same fault after a retry in vain is told once', async () => {
  const account = newAccount();
  const { role, assumeCustomerRole } = unassumable();
  const { activities, sent } = withReceiver({ assumeCustomerRole });
  await environment.withWorker(activities, async () => {
    const handle = await startDump(account);
    await waits(handle);
    await isTold(sent, 1);
    for (const attempts of [2, 3]) {
      await handle.signal(retrySignal);
      await eventually(
        async () => role.attempts,
        (made) => made >= attempts,
      );
      await waits(handle);
    }
    role.isMended = true;
    await deliveredAfterRetry(handle, account);
  });
  expect(types(sent).toSorted()).toEqual(['dump.delivered', 'dump.needs-attention', 'dump.recovered']);
});

test('where notices are off, nothing is started and the dump asks but once', async () => {
  const account = newAccount();
  let asked = 0;
  const { activities } = scripted({
    noticesAreOn: async () => {
      asked += 1;
      return false;
    },
  });
  await environment.withWorker(activities, async () => {
    const handle = await startDump(account);
    await handle.result();
    const { events } = await handle.fetchHistory();
    const children = (events ?? []).filter((event) => event.startChildWorkflowExecutionInitiatedEventAttributes);
    expect(children).toEqual([]);
  });
  expect(asked).toBe(1);
});

test('a worker that cannot say whether notices are on delivers all the same', async () => {
  const { activities } = withReceiver({
    noticesAreOn: async () => {
      throw new Error('not now');
    },
  });
  await environment.withWorker(activities, async () => {
    await expect((await startDump(newAccount())).result()).resolves.toMatchObject({ outcome: 'delivered' });
  });
});

const endings: [string, (handle: WorkflowHandle<typeof dump>) => Promise<unknown>, string][] = [
  [
    'superseded',
    (handle) => handle.signal(supersedeSignal, 'run-2'),
    'This dump waited for somebody to mend it; run run-2 is delivered instead',
  ],
  ['cancelled', (handle) => handle.cancel(), 'cancelled'],
  [
    'abandoned',
    (handle) => handle.signal(abandonSignal, 'the customer has left'),
    'An operator gave this dump up: the customer has left',
  ],
];

test.each(endings)('a dump that waits and is %s tells both, in order, at once', async (outcome, end, reason) => {
  const account = newAccount();
  const { assumeCustomerRole } = unassumable();
  const { activities, sent } = withReceiver({ assumeCustomerRole });
  await environment.withWorker(activities, async () => {
    const handle = await startDump(account);
    await waits(handle);
    await end(handle);
    await handle.result().catch(() => undefined);
    await allTaken(account, 2);
    const notices = await told(account, 2);
    expect(types(notices)).toEqual(['dump.needs-attention', `dump.${outcome}`]);
    expect(notices[1]?.data['reason']).toBe(reason);
    expect(sent).toHaveLength(2);
  });
});

test('a dump that fails tells why', async () => {
  const account = newAccount();
  const { activities, sent } = withReceiver({
    commitReceipt: async () => {
      throw needsAttention('StagingFilesGone');
    },
  });
  await environment.withWorker(activities, async () => {
    await (await startDump(account)).result().catch(() => undefined);
    await noticeOf(account, 1).result();
  });
  expect(sent).toMatchObject([{ type: 'dump.failed', data: { account, reason: 'StagingFilesGone: mend it' } }]);
});

test('a number that is taken, as after a reset, is passed over', async () => {
  const account = newAccount();
  const { activities, sent } = withReceiver();
  await environment.withWorker(activities, async () => {
    const data = { account, folder, run: parseModellingRun(run('run-1', startedAt), Date.now()) };
    await environment.client.workflow.execute<typeof notice>('notice', {
      taskQueue: taskQueues.control,
      workflowId: noticeWorkflowId(account, folder, 1),
      args: [{ type: 'dump.recovered', timestamp: startedAt, data }],
    });
    await (await startDump(account)).result();
    await noticeOf(account, 2).result();
  });
  expect(types(sent)).toEqual(['dump.recovered', 'dump.delivered']);
});

/** What a query can bring out of order: whether it did, is seen by a replay, but not each time. */
async function localActivitiesOf(handle: WorkflowHandle): Promise<unknown[]> {
  const { events } = await handle.fetchHistory();
  const markers = (events ?? []).map(({ markerRecordedEventAttributes }) => markerRecordedEventAttributes);
  return markers.filter((marker) => marker?.markerName === 'core_local_activity');
}

test('dumps that are asked for their state without a pause while they tell do again what their histories say', async () => {
  const { activities } = withReceiver({
    copyShards: async () => {
      throw needsAttention('BucketAccessDenied');
    },
  });
  await environment.withWorker(activities, async () => {
    const accounts = Array.from({ length: 8 }, newAccount);
    await Promise.all(
      accounts.map(async (account) => {
        const handle = await startDump(account);
        const first = noticeOf(account, 1);
        const asks = new AbortController();
        const ask = async (): Promise<void> => {
          while (!asks.signal.aborted) await handle.query(dumpStatusQuery);
        };
        // The server holds one query a dump at a time, and lets who asks for another wait for seconds.
        const asking = ask();
        await eventually(
          () => isMissing(first),
          (missing) => !missing,
        ).finally(() => asks.abort());
        await asking;
        await handle.signal(abandonSignal);
        await handle.result().catch(() => undefined);
        await allTaken(account, 2);
        expect(await localActivitiesOf(handle)).toEqual([]);
        await environment.replay(handle);
      }),
    );
  });
});
