/** Messages that come while Temporal starts a dump, on the time-skipping server. */
import type { Activities } from '../../src/activities';
import { isIdle } from '../../src/client/command-line';
import { dumpWorkflowId, taskQueues, type AccountId } from '../../src/contract';
import { parseDestination, parseModellingRun } from '../../src/dump/inputs';
import { folderName } from '../../src/dump/keys';
import type { dump } from '../../src/workflows';
import { eventually } from '../eventually';
import { customer, needsAttention, newAccount, run, scripted, staged, WorkflowTestEnvironment } from './environment';
import { tellStartSignal } from './held-start';

let environment: WorkflowTestEnvironment;
beforeAll(async () => {
  environment = await WorkflowTestEnvironment.start(undefined, [require.resolve('./held-start')]);
});
afterAll(() => environment.stop());

const otherBucket = { ...customer, bucket: 'acme-other' };

/** Dumps whose receipts are noted by bucket. */
function scene(replaced: Partial<Activities> = {}): { activities: Activities; receipts: string[] } {
  const receipts: string[] = [];
  const { activities } = scripted({
    commitReceipt: async ({ settings }) => {
      receipts.push(settings.bucket);
      return 'receipt.json';
    },
    ...replaced,
  });
  return { activities, receipts };
}

/** Connected, with a dump that has started, which the destination has not been told. */
async function startingDump(account: AccountId): Promise<void> {
  await environment.destinations.connect(account, customer);
  await environment.announce(account, 'run-1');
  await eventually(
    () => environment.destinationOf(account).fetchHistory(),
    ({ events }) => (events ?? []).some((event) => event.childWorkflowExecutionStartedEventAttributes),
  );
}

const tellStart = (account: AccountId): Promise<void> => environment.destinationOf(account).signal(tellStartSignal);

test('a dump is being delivered from when it is being started, and is shown when there is one to ask', async () => {
  const account = newAccount();
  const { activities } = scene();
  await environment.withWorker(activities, async () => {
    await startingDump(account);
    const status = await environment.statusOf(account);
    expect(status).toMatchObject({ state: 'Delivering' });
    expect(status).not.toHaveProperty('pendingRun');
    expect(status).not.toHaveProperty('currentDump');
    expect(isIdle(await environment.destinations.status(account))).toBe(false);
    await tellStart(account);
    expect(await environment.ended(account, 1)).toMatchObject([{ runId: 'run-1', outcome: 'delivered' }]);
    expect((await environment.statusOf(account)).state).toBe('Delivered');
  });
});

test('disconnect waits for the end of a dump that is being started, also where a bucket is connected meanwhile', async () => {
  const account = newAccount();
  let isBroken = true;
  const { activities, receipts } = scene({
    extractTable: async () => {
      if (isBroken) throw needsAttention('TableMissing');
      return staged(1);
    },
  });
  await environment.withWorker(activities, async () => {
    await startingDump(account);
    let isOver = false;
    const disconnecting = environment.destinations.disconnect(account).then(() => void (isOver = true));
    await eventually(
      () => environment.statusOf(account),
      ({ state }) => state === 'NotConnected',
    );
    await environment.destinations.connect(account, otherBucket);
    expect(isOver).toBe(false);
    // So the next dump need not wait for its minute: it begins in the moment in which the cancelled one ends.
    await environment.server.sleep('2 minutes');
    await tellStart(account);
    await disconnecting;
    const [cancelled] = (await environment.statusOf(account)).recentDumps;
    expect(cancelled).toMatchObject({ runId: 'run-1', outcome: 'cancelled' });
    const { workflow } = environment.client;
    const itsDump = workflow.getHandle(dumpWorkflowId(account, cancelled?.folder ?? folderName(new Date(0))));
    expect((await itsDump.describe()).status.name).toBe('CANCELLED');
    isBroken = false;
    await environment.destinations.retry(account);
    expect(await environment.ended(account, 2)).toMatchObject([{}, { runId: 'run-1', outcome: 'delivered' }]);
  });
  expect(receipts).toEqual([otherBucket.bucket]);
});

test('settings that change while a dump is being started have its run delivered again', async () => {
  const account = newAccount();
  const { activities, receipts } = scene();
  await environment.withWorker(activities, async () => {
    await startingDump(account);
    await environment.destinations.connect(account, otherBucket);
    expect((await environment.statusOf(account)).pendingRun).toMatchObject({ runId: 'run-1' });
    await tellStart(account);
    expect(await environment.ended(account, 2)).toMatchObject([{ runId: 'run-1' }, { runId: 'run-1' }]);
  });
  expect(receipts).toEqual([customer.bucket, otherBucket.bucket]);
});

test('a dump is told of a newer run that came while it was being started', async () => {
  const account = newAccount();
  let isBroken = true;
  const { activities } = scene({
    extractTable: async () => {
      if (isBroken) throw needsAttention('TableMissing');
      return staged(1);
    },
  });
  await environment.withWorker(activities, async () => {
    await startingDump(account);
    await environment.announce(account, 'run-2');
    await environment.statusOf(account);
    await tellStart(account);
    expect(await environment.ended(account, 1)).toMatchObject([{ runId: 'run-1', outcome: 'superseded' }]);
    // Its dump waits for the next minute.
    isBroken = false;
    expect(await environment.ended(account, 2)).toMatchObject([{}, { runId: 'run-2', outcome: 'delivered' }]);
  });
});

test('the same settings given again while a dump is being started deliver nothing twice', async () => {
  const account = newAccount();
  const { activities, receipts } = scene();
  await environment.withWorker(activities, async () => {
    await startingDump(account);
    await environment.destinations.connect(account, customer);
    await tellStart(account);
    await environment.ended(account, 1);
    await environment.server.sleep('1 hour');
  });
  expect(receipts).toEqual([customer.bucket]);
});

/** As one that the destination has forgotten. */
async function takeFolders(account: AccountId, from: Date, count: number): Promise<void> {
  for (let minute = 0; minute < count; minute += 1) {
    const startedAt = new Date(from.getTime() + minute * 60_000);
    await environment.client.workflow.start<typeof dump>('dump', {
      workflowId: dumpWorkflowId(account, folderName(startedAt)),
      taskQueue: taskQueues.control,
      args: [
        {
          run: parseModellingRun(run('forgotten', from.toISOString()), from.getTime()),
          settings: parseDestination({ ...customer, bucket: 'acme-forgotten' }),
          startedAt: startedAt.toISOString(),
        },
      ],
    });
  }
}

test('a run whose dump cannot be started, as its folder is taken, is delivered in the next minute that is free', async () => {
  const account = newAccount();
  const { activities, receipts } = scene();
  await environment.withWorker(activities, async () => {
    await environment.destinations.connect(account, customer);
    const now = new Date(await environment.server.currentTimeMs());
    await takeFolders(account, now, 2);
    await environment.announce(account, 'run-1');
    await tellStart(account);
    const [delivered] = await environment.ended(account, 1);
    expect(delivered).toMatchObject({ runId: 'run-1', outcome: 'delivered' });
    expect(Date.parse(`${delivered?.folder ?? ''}:00Z`)).toBeGreaterThan(now.getTime() + 60_000);
  });
  expect(receipts.filter((bucket) => bucket === customer.bucket)).toHaveLength(1);
});

test('disconnect is not undone by a dump that cannot be started', async () => {
  const account = newAccount();
  const { activities, receipts } = scene();
  await environment.withWorker(activities, async () => {
    await environment.destinations.connect(account, customer);
    await takeFolders(account, new Date(await environment.server.currentTimeMs()), 2);
    await environment.announce(account, 'run-1');
    await eventually(
      () => environment.destinationOf(account).fetchHistory(),
      ({ events }) => (events ?? []).some((event) => event.startChildWorkflowExecutionFailedEventAttributes),
    );
    const disconnecting = environment.destinations.disconnect(account);
    await eventually(
      () => environment.statusOf(account),
      ({ state }) => state === 'NotConnected',
    );
    await tellStart(account);
    await disconnecting;
    const status = await environment.statusOf(account);
    expect(status.recentDumps).toEqual([]);
    expect(status).not.toHaveProperty('pendingRun');
    await environment.destinations.connect(account, otherBucket);
    await environment.server.sleep('1 hour');
  });
  expect(receipts).not.toContain(customer.bucket);
});
