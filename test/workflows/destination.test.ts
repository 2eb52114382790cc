import {
  destinationWorkflowId,
  searchAttributeNames,
  taskQueues,
  type AccountId,
  type DestinationStatus,
} from '../../src/contract';
import type { DestinationReport } from '../../src/client/destinations';
import { parseDestination } from '../../src/dump/inputs';
import type { destination } from '../../src/workflows';
import { connectUpdate, dumpNowSignal, modellingRunSucceededSignal } from '../../src/workflows/messages';
import { accessPropagationMs, accessRecheckMs } from '../../src/timing';
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

const dumpRunIds = (dumps: DestinationStatus['recentDumps']): string[] => dumps.map(({ runId }) => runId);

/** Every table: where one is still at work when its dump is cancelled, the test server may lose a workflow task. */
const untilAllWait = (account: AccountId): Promise<DestinationReport> =>
  eventually(
    () => environment.destinations.status(account),
    ({ dump }) =>
      dump !== undefined && Object.values(dump.tables).every((progress) => progress.state === 'needs attention'),
  );

test('connect proves access and keeps the settings', async () => {
  const account = newAccount();
  const { activities, calls } = scripted();
  await environment.withWorker(activities, async () => {
    const { settings, proof } = await environment.destinations.connect(account, {
      ...customer,
      path: 'exports/dreamdata',
    });
    expect(proof.awsAccountId).toBe('111122223333');
    expect(settings).toEqual({
      roleArn: customer.roleArn,
      bucket: customer.bucket,
      bucketOwner: '111122223333',
      path: 'exports/dreamdata',
      tables: ['companies', 'events'],
    });
    expect((await environment.statusOf(account)).settings).toEqual(settings);
  });
  expect(calls).toEqual(['checkAccess']);
});

test('a destination whose role cannot be assumed is not connected, and the refusal says what to mend', async () => {
  const account = newAccount();
  const { activities } = scripted({
    checkAccess: async () => {
      throw needsAttention('RoleNotAssumable');
    },
  });
  await environment.withWorker(activities, async () => {
    const connecting = environment.destinations.connect(account, customer);
    const refused = connecting.catch((error: unknown) => error);
    // Until it has been started, there is none to ask.
    const status = await eventually(
      () => environment.statusOf(account).catch(() => undefined),
      (soFar) => soFar?.access !== undefined,
    );
    expect(status?.access).toMatchObject({ state: 'checking', attempt: 1, fault: { type: 'RoleNotAssumable' } });
    await environment.server.sleep(accessPropagationMs + accessRecheckMs);
    expect(await refused).toMatchObject({
      cause: { type: 'RoleNotAssumable', message: 'RoleNotAssumable: mend it' },
    });
    expect(await environment.statusOf(account)).toMatchObject({
      state: 'NotConnected',
      access: { state: 'failed', problem: 'RoleNotAssumable: mend it' },
    });
  });
});

test('a role that was made seconds ago is connected when it has taken effect', async () => {
  const account = newAccount();
  let attempts = 0;
  const { activities } = scripted({
    checkAccess: async () => {
      attempts += 1;
      if (attempts < 3) throw needsAttention('RoleNotAssumable');
      return { assumedRoleArn: 'arn', awsAccountId: '111122223333', expiresAt: '' };
    },
  });
  await environment.withWorker(activities, async () => {
    const connecting = environment.destinations.connect(account, customer);
    await eventually(
      async () => attempts,
      (count) => count === 1,
    );
    await environment.server.sleep(accessPropagationMs);
    await expect(connecting).resolves.toMatchObject({ proof: { assumedRoleArn: 'arn' } });
    expect((await environment.statusOf(account)).access).toMatchObject({ state: 'passed' });
  });
});

test('what the vendor must mend is told at once: no waiting will mend it', async () => {
  const account = newAccount();
  const { activities, calls } = scripted({
    checkAccess: async () => {
      throw needsAttention('VendorRoleNotAssumable');
    },
  });
  await environment.withWorker(activities, async () => {
    await expect(environment.destinations.connect(account, customer)).rejects.toMatchObject({
      cause: { type: 'VendorRoleNotAssumable' },
    });
  });
  expect(calls).toEqual(['checkAccess']);
});

test('a check on request says what is in the way, leaves the settings, and shows until access is proven again', async () => {
  const account = newAccount();
  let broken = false;
  const { activities } = scripted({
    checkAccess: async () => {
      if (broken) throw needsAttention('BucketAccessDenied');
      return { assumedRoleArn: 'arn', awsAccountId: '111122223333', expiresAt: '' };
    },
  });
  await environment.withWorker(activities, async () => {
    await environment.destinations.connect(account, customer);
    expect(await environment.destinations.check(account)).toMatchObject({ state: 'passed' });
    broken = true;
    const checking = environment.destinations.check(account);
    await eventually(
      () => environment.statusOf(account),
      ({ access }) => access?.state === 'checking',
    );
    await environment.server.sleep(accessPropagationMs + accessRecheckMs);
    expect(await checking).toMatchObject({ state: 'failed', fault: { type: 'BucketAccessDenied', remedy: 'mend it' } });
    expect(await environment.statusOf(account)).toMatchObject({
      state: 'AccessRefused',
      settings: { bucket: customer.bucket },
    });
    broken = false;
    await environment.destinations.check(account);
    expect((await environment.statusOf(account)).state).toBe('Waiting');
  });
});

test('a destination that is not connected has nothing to check', async () => {
  const account = newAccount();
  const { activities } = scripted();
  await environment.withWorker(activities, async () => {
    await environment.announce(account, 'run-1');
    await expect(environment.destinations.check(account)).rejects.toMatchObject({
      cause: { message: 'There is no connected bucket' },
    });
  });
});

test('a refused change of settings leaves the former ones in force', async () => {
  const account = newAccount();
  const { activities } = scripted();
  await environment.withWorker(activities, async () => {
    await environment.destinations.connect(account, customer);
    // Sent past the client's own check, as another program might.
    const bad = { ...customer, bucket: 'arn:aws:s3:::acme' };
    await expect(
      environment.destinationOf(account).executeUpdate(connectUpdate, { args: [bad] }),
    ).rejects.toMatchObject({
      cause: { message: expect.stringContaining('is an ARN') as string },
    });
    expect((await environment.statusOf(account)).settings?.bucket).toBe(customer.bucket);
  });
});

test('malformed settings are refused before a destination is started', async () => {
  const account = newAccount();
  await expect(environment.destinations.connect(account, { ...customer, tables: [] })).rejects.toThrow('empty');
  await expect(environment.destinationOf(account).describe()).rejects.toThrow(/not found/i);
});

test('a run of a customer who was never connected is noted and dumps nothing', async () => {
  const account = newAccount();
  const { activities, calls } = scripted();
  await environment.withWorker(activities, async () => {
    await environment.announce(account, 'run-1');
    const status = await environment.statusOf(account);
    expect(status.newestRun?.runId).toBe('run-1');
    expect(status.pendingRun).toBeUndefined();
    await environment.server.sleep('1 day');
  });
  expect(calls).toEqual([]);
});

test('the same run announced twice makes one dump', async () => {
  const account = newAccount();
  const { activities, calls } = scripted();
  await environment.withWorker(activities, async () => {
    await environment.destinations.connect(account, customer);
    const finishedAt = new Date(await environment.server.currentTimeMs());
    await environment.announce(account, 'run-1', finishedAt);
    await environment.announce(account, 'run-1', finishedAt);
    await environment.ended(account, 1);
    await environment.announce(account, 'run-1', finishedAt);
    await environment.server.sleep('1 hour');
    expect(dumpRunIds((await environment.statusOf(account)).recentDumps)).toEqual(['run-1']);
  });
  expect(calls.filter((call) => call === 'commitReceipt')).toHaveLength(1);
});

test('three runs during a dump make one more dump, of the newest', async () => {
  const account = newAccount();
  const extracted = gate();
  const { activities } = scripted({ extractTable: () => extracted.opened.then(() => staged(1)) });
  await environment.withWorker(activities, async () => {
    await environment.destinations.connect(account, customer);
    await environment.announce(account, 'run-1');
    await eventually(
      () => environment.statusOf(account),
      ({ currentDump }) => currentDump !== undefined,
    );
    for (const runId of ['run-2', 'run-3', 'run-4']) await environment.announce(account, runId);
    await eventually(
      () => environment.statusOf(account),
      ({ pendingRun }) => pendingRun?.runId === 'run-4',
    );
    extracted.open();
    const dumps = await environment.ended(account, 2);
    expect(dumpRunIds(dumps)).toEqual(['run-1', 'run-4']);
    await environment.server.sleep('1 hour');
    expect((await environment.statusOf(account)).recentDumps).toHaveLength(2);
  });
});

test('a hostile run id stays in its code span in the summary of its dump', async () => {
  const account = newAccount();
  const { activities } = scripted();
  await environment.withWorker(activities, async () => {
    await environment.destinations.connect(account, customer);
    await environment.announce(account, '` ![x](https://evil.example/pixel.png) <img src=x> `');
    const [dump] = await environment.ended(account, 1);
    const dumpHandle = environment.client.workflow.getHandle(`dump/${account}/${dump?.folder ?? ''}`);
    const summary = await (await dumpHandle.describe()).staticSummary();
    expect(summary).toMatch(new RegExp(`^${account}: run \`[^\`<>]*evil\\.example[^\`<>]*\` into ${customer.bucket}$`));
  });
});

test('a run that finished before the newest one is not delivered', async () => {
  const account = newAccount();
  const { activities } = scripted();
  await environment.withWorker(activities, async () => {
    await environment.destinations.connect(account, customer);
    const now = await environment.server.currentTimeMs();
    await environment.announce(account, 'run-2', new Date(now));
    await environment.announce(account, 'run-1', new Date(now - 60_000));
    await environment.ended(account, 1);
    await environment.server.sleep('1 hour');
    expect(dumpRunIds((await environment.statusOf(account)).recentDumps)).toEqual(['run-2']);
  });
});

test('two runs within one minute are delivered into two folders', async () => {
  const account = newAccount();
  const { activities } = scripted();
  await environment.withWorker(activities, async () => {
    await environment.destinations.connect(account, customer);
    await environment.announce(account, 'run-1');
    await environment.ended(account, 1);
    await environment.announce(account, 'run-2');
    const dumps = await environment.ended(account, 2);
    const [first, second] = dumps.map(({ folder }) => Date.parse(`${folder}:00Z`));
    expect(second).toBeGreaterThan(first ?? NaN);
    expect(dumps.every(({ outcome }) => outcome === 'delivered')).toBe(true);
  });
});

test('a paused destination delivers nothing until it is resumed, and then the newest run', async () => {
  const account = newAccount();
  const { activities, calls } = scripted();
  await environment.withWorker(activities, async () => {
    await environment.destinations.connect(account, customer);
    await environment.destinations.pause(account);
    await environment.announce(account, 'run-1');
    await environment.announce(account, 'run-2');
    await environment.server.sleep('1 day');
    expect(calls).toEqual(['checkAccess']);
    await environment.destinations.resume(account);
    expect(dumpRunIds(await environment.ended(account, 1))).toEqual(['run-2']);
  });
});

test('a newer run takes the place of a dump that waits for a person', async () => {
  const account = newAccount();
  let broken = true;
  const { activities } = scripted({
    extractTable: async () => {
      if (broken) throw needsAttention('TableMissing');
      return staged(1);
    },
  });
  await environment.withWorker(activities, async () => {
    await environment.destinations.connect(account, customer);
    await environment.announce(account, 'run-1');
    await untilAllWait(account);
    broken = false;
    await environment.announce(account, 'run-2');
    const dumps = await environment.ended(account, 2);
    expect(dumps).toMatchObject([
      { runId: 'run-1', outcome: 'superseded', reason: expect.stringContaining('run-2') as string },
      { runId: 'run-2', outcome: 'delivered' },
    ]);
  });
});

test('a dump that an operator cancels ends alone: the destination goes on', async () => {
  const account = newAccount();
  const { activities } = scripted({
    extractTable: async () => {
      throw needsAttention('TableMissing');
    },
  });
  await environment.withWorker(activities, async () => {
    await environment.destinations.connect(account, customer);
    await environment.announce(account, 'run-1');
    const { destination: status } = await untilAllWait(account);
    await environment.client.workflow.getHandle(status.currentDump?.workflowId ?? '').cancel();
    expect(await environment.ended(account, 1)).toMatchObject([{ runId: 'run-1', outcome: 'cancelled' }]);
    expect((await environment.destinationOf(account).describe()).status.name).toBe('RUNNING');
  });
});

test('a dump that an operator gives up ends alone: the destination goes on', async () => {
  const account = newAccount();
  let mended = false;
  const { activities } = scripted({
    extractTable: async () => {
      if (!mended) throw needsAttention('TableMissing');
      return staged(1);
    },
  });
  await environment.withWorker(activities, async () => {
    await environment.destinations.connect(account, customer);
    await expect(environment.destinations.abandon(account)).rejects.toThrow('there is nothing to abandon');
    await environment.announce(account, 'run-1');
    await untilAllWait(account);
    const told = await environment.destinations.abandon(account, 'wrong bucket');
    expect(told).toMatch(new RegExp(`^dump/${account}/`));
    const [given] = await environment.ended(account, 1);
    expect(given).toMatchObject({ outcome: 'abandoned', reason: expect.stringContaining('wrong bucket') as string });
    mended = true;
    await environment.announce(account, 'run-2');
    expect(await environment.ended(account, 2)).toMatchObject([
      { runId: 'run-1' },
      { runId: 'run-2', outcome: 'delivered' },
    ]);
  });
});

test('disconnect cancels the dump at work and forgets the settings', async () => {
  const account = newAccount();
  const { activities, calls } = scripted({
    extractTable: async () => {
      throw needsAttention('TableMissing');
    },
  });
  await environment.withWorker(activities, async () => {
    await environment.destinations.connect(account, customer);
    await environment.announce(account, 'run-1');
    await untilAllWait(account);
    await environment.destinations.disconnect(account);
    const status = await environment.statusOf(account);
    expect(status.settings).toBeUndefined();
    expect(status.recentDumps).toMatchObject([{ outcome: 'cancelled' }]);
    await environment.announce(account, 'run-2');
    expect((await environment.statusOf(account)).pendingRun).toBeUndefined();
  });
  expect(calls.at(-1)).toBe('clearStaging');
});

test('dumpNow delivers the newest run again, into a folder of its own', async () => {
  const account = newAccount();
  const { activities } = scripted();
  await environment.withWorker(activities, async () => {
    await environment.destinations.connect(account, customer);
    await environment.destinationOf(account).signal(dumpNowSignal);
    expect((await environment.statusOf(account)).notes).toEqual(['dumpNow: there is no run to deliver yet']);
    await environment.announce(account, 'run-1');
    await environment.ended(account, 1);
    await environment.destinationOf(account).signal(dumpNowSignal);
    const dumps = await environment.ended(account, 2);
    expect(dumpRunIds(dumps)).toEqual(['run-1', 'run-1']);
    expect(new Set(dumps.map(({ folder }) => folder)).size).toBe(2);
  });
});

/** What the state attribute was set to, execution by execution. */
async function publishedStates(account: AccountId, runId?: string): Promise<string[]> {
  const { events } = await environment.client.workflow.getHandle(destinationWorkflowId(account), runId).fetchHistory();
  return (events ?? []).flatMap(({ upsertWorkflowSearchAttributesEventAttributes: upserted }) => {
    const payload = upserted?.searchAttributes?.indexedFields?.[searchAttributeNames.state];
    return payload?.data == null ? [] : [(JSON.parse(Buffer.from(payload.data).toString()) as string[]).toString()];
  });
}

test('a destination publishes its state for searches, each change once', async () => {
  const account = newAccount();
  const { activities } = scripted({
    extractTable: async () => {
      throw needsAttention('StagingFilesGone');
    },
  });
  await environment.withWorker(activities, async () => {
    await environment.announce(account, 'run-0');
    await environment.destinations.connect(account, { ...customer, tables: ['events'] });
    await environment.destinations.connect(account, { ...customer, tables: ['events'] });
    await environment.announce(account, 'run-1');
    expect(await environment.ended(account, 1)).toMatchObject([{ outcome: 'failed' }]);
    expect((await environment.statusOf(account)).state).toBe('Failed');
    await environment.destinations.pause(account);
    await environment.destinations.pause(account);
    await environment.destinations.resume(account);
    await environment.destinations.disconnect(account);
  });
  expect(await publishedStates(account)).toEqual([
    ...['NotConnected', 'Waiting', 'Delivering', 'Failed', 'Paused', 'Failed', 'NotConnected'],
  ]);
});

test('an idle destination whose last dump was delivered is in the state Delivered', async () => {
  const account = newAccount();
  const { activities } = scripted();
  await environment.withWorker(activities, async () => {
    await environment.destinations.connect(account, customer);
    await environment.announce(account, 'run-1');
    await environment.ended(account, 1);
    expect((await environment.statusOf(account)).state).toBe('Delivered');
  });
});

test('a signal with missing or wrong fields is answered in the status and harms nothing', async () => {
  const account = newAccount();
  const { activities, calls } = scripted();
  await environment.withWorker(activities, async () => {
    await environment.destinations.connect(account, customer);
    const bad: unknown[] = [
      undefined,
      { runId: 'run-1', finishedAt: new Date().toISOString() },
      { finishedAt: new Date().toISOString(), dataset: 'vendor-prod.data_platform' },
      { runId: 'run-1', finishedAt: 'yesterday', dataset: 'vendor-prod.data_platform' },
      run('run-1', new Date(Date.now() + 400 * 24 * 3600 * 1000)),
    ];
    for (const signal of bad) await environment.destinationOf(account).signal(modellingRunSucceededSignal, signal);
    const status = await environment.statusOf(account);
    expect(status.notes).toHaveLength(5);
    expect(status.notes.join('\n')).toMatch(/object[^]*dataset is missing[^]*run id is missing[^]*RFC 3339[^]*future/);
    expect(status.newestRun).toBeUndefined();
  });
  expect(calls).toEqual(['checkAccess']);
});

test('a destination continues as new between dumps and delivers the run that waited', async () => {
  const account = newAccount();
  const extracted = gate();
  const { activities } = scripted({ extractTable: () => extracted.opened.then(() => staged(1)) });
  await environment.withWorker(activities, async () => {
    const handle = await environment.client.workflow.start<typeof destination>('destination', {
      taskQueue: taskQueues.control,
      workflowId: destinationWorkflowId(account),
      args: [{ historyEventsMax: 32 }],
    });
    await environment.destinations.connect(account, customer);
    await environment.announce(account, 'run-1');
    await eventually(
      () => environment.statusOf(account),
      ({ currentDump }) => currentDump !== undefined,
    );
    for (const runId of ['run-2', 'run-3', 'run-4']) await environment.announce(account, runId);
    await eventually(
      () => environment.statusOf(account),
      ({ pendingRun }) => pendingRun?.runId === 'run-4',
    );
    extracted.open();
    // No query meanwhile: the test server stops skipping time when one meets an execution that continues as new.
    const first = environment.client.workflow.getHandle(destinationWorkflowId(account), handle.firstExecutionRunId);
    await eventually(
      () => first.describe(),
      ({ status }) => status.name === 'CONTINUED_AS_NEW',
    );
    const dumps = await environment.ended(account, 2);
    expect(dumpRunIds(dumps)).toEqual(['run-1', 'run-4']);
    expect((await environment.statusOf(account)).settings).toEqual(parseDestination(customer));
    // The next execution begins with the state that the one before it ended in, or with what has come since.
    expect((await publishedStates(account, handle.firstExecutionRunId)).at(-1)).toBe('Waiting');
    expect(await publishedStates(account)).toEqual(['Waiting', 'Delivering', 'Delivered']);
    await environment.announce(account, 'run-1', new Date(0));
    expect((await environment.statusOf(account)).newestRun?.runId).toBe('run-4');
  });
});
