/** The check of access that nobody waits for, each day or by an operator's signal, on the time-skipping server. */
import { ApplicationFailure } from '@temporalio/common';
import type { Activities } from '../../src/activities';
import {
  destinationWorkflowId,
  taskQueues,
  type AccountId,
  type DestinationStatus,
  type FailureType,
  type Notice,
} from '../../src/contract';
import { accessPropagationMs, accessRecheckMs } from '../../src/timing';
import type { destination } from '../../src/workflows';
import { checkAccessSignal } from '../../src/workflows/messages';
import { eventually } from '../eventually';
import { customer, gate, needsAttention, newAccount, scripted, WorkflowTestEnvironment } from './environment';

let environment: WorkflowTestEnvironment;
// One server for each: where a notice is left when its workers stop, the test server skips no time any more.
beforeEach(async () => {
  environment = await WorkflowTestEnvironment.start();
});
afterEach(() => environment.stop());

const proof = { assumedRoleArn: 'arn', awsAccountId: '111122223333', expiresAt: '' };

/** A role and a bucket that refuse as they are told to, and whoever is told. */
function scene(replaced: Partial<Activities> = {}) {
  const access: { fault?: FailureType | 'network' | undefined; checks: number; atOnce: number; mostAtOnce: number } = {
    checks: 0,
    atOnce: 0,
    mostAtOnce: 0,
  };
  const sent: Notice[] = [];
  const { activities } = scripted({
    checkAccess: async () => {
      access.checks += 1;
      access.mostAtOnce = Math.max(access.mostAtOnce, (access.atOnce += 1));
      await new Promise((resolve) => setTimeout(resolve, 5));
      access.atOnce -= 1;
      if (access.fault === 'network') throw ApplicationFailure.nonRetryable('connection reset', 'Transient');
      if (access.fault !== undefined) throw needsAttention(access.fault);
      return proof;
    },
    noticesAreOn: async () => true,
    sendNotice: async (notice) => void sent.push(notice),
    ...replaced,
  });
  return { access, activities, sent, told: () => sent.map(({ type }) => type) };
}

const ask = (account: AccountId): Promise<void> => environment.destinationOf(account).signal(checkAccessSignal);

const when = (account: AccountId, holds: (status: DestinationStatus) => boolean): Promise<DestinationStatus> =>
  eventually(() => environment.statusOf(account), holds);

const isChecking = ({ access }: DestinationStatus): boolean => access?.state === 'checking';

/** Until a refusal is believed. */
async function pass(account: AccountId): Promise<DestinationStatus> {
  await when(account, isChecking);
  await environment.server.sleep(accessPropagationMs + accessRecheckMs);
  return when(account, (status) => !isChecking(status));
}

const isTold = (sent: readonly Notice[], count: number) =>
  eventually(
    async () => sent.length,
    (length) => length >= count,
  );

test('what a check finds is known before the next dump, told once, and told again when it is mended', async () => {
  const account = newAccount();
  const { access, activities, sent, told } = scene();
  await environment.withWorker(activities, async () => {
    await environment.destinations.connect(account, customer);
    const { at: connectedAt } = (await environment.statusOf(account)).access as { at: string };
    await ask(account);
    await when(account, ({ access: known }) => known?.state === 'passed' && known.at !== connectedAt);
    expect(access.checks).toBe(2);
    expect((await environment.statusOf(account)).state).toBe('Waiting');

    access.fault = 'BucketAccessDenied';
    await ask(account);
    expect(await pass(account)).toMatchObject({
      state: 'AccessRefused',
      access: { state: 'failed', fault: { type: 'BucketAccessDenied', mender: 'customer' } },
      recentDumps: [],
    });
    await isTold(sent, 1);
    const { at: firstAt } = (await environment.statusOf(account)).access as { at: string };

    await environment.server.sleep('1 day');
    await ask(account);
    expect(await pass(account)).toMatchObject({ state: 'AccessRefused' });
    expect((await environment.statusOf(account)).access).not.toMatchObject({ at: firstAt });

    access.fault = undefined;
    await ask(account);
    await when(account, ({ state }) => state === 'Waiting');
    await isTold(sent, 2);
  });
  expect(told()).toEqual(['destination.access-refused', 'destination.access-restored']);
  expect(sent[0]?.data).toEqual({
    account,
    fault: { type: 'BucketAccessDenied', problem: 'BucketAccessDenied.', mender: 'customer', remedy: 'mend it' },
  });
});

test('a network fault proves nothing: it takes no refusal away, and makes none', async () => {
  const account = newAccount();
  const { access, activities, told } = scene();
  await environment.withWorker(activities, async () => {
    await environment.destinations.connect(account, customer);
    access.fault = 'network';
    await ask(account);
    expect(await when(account, ({ access: check }) => check?.state === 'failed')).toMatchObject({ state: 'Waiting' });

    access.fault = 'BucketMissing';
    await ask(account);
    await pass(account);
    access.fault = 'network';
    const { checks } = access;
    expect(await environment.destinations.check(account)).toMatchObject({
      state: 'failed',
      problem: 'connection reset',
    });
    expect(access.checks).toBe(checks + 1);
    expect(await environment.statusOf(account)).toMatchObject({
      state: 'AccessRefused',
      access: { fault: { type: 'BucketMissing' } },
    });
  });
  expect(told()).toEqual(['destination.access-refused']);
});

test('while it is tried again, a refusal stands: the state that others search for does not come and go', async () => {
  const account = newAccount();
  const { access, activities } = scene();
  await environment.withWorker(activities, async () => {
    await environment.destinations.connect(account, customer);
    access.fault = 'BucketMissing';
    await ask(account);
    await pass(account);
    await ask(account);
    expect(await when(account, isChecking)).toMatchObject({ state: 'AccessRefused' });
    await environment.server.sleep(accessPropagationMs + accessRecheckMs);
    await when(account, (status) => !isChecking(status));
    const { events } = await environment.destinationOf(account).fetchHistory();
    const changes = (events ?? []).filter((event) => event.upsertWorkflowSearchAttributesEventAttributes);
    const values = changes.flatMap(({ upsertWorkflowSearchAttributesEventAttributes: upserted }) => {
      const { data } = upserted?.searchAttributes?.indexedFields?.['S3DestinationState'] ?? {};
      return data == null ? [] : [Buffer.from(data).toString()];
    });
    expect(values).toEqual(['"NotConnected"', '"Waiting"', '"AccessRefused"']);
  });
});

test.each(['check', 'connect'] as const)('what %s says to who asks is not told beside that', async (command) => {
  const account = newAccount();
  const { access, activities, told } = scene();
  await environment.withWorker(activities, async () => {
    await environment.destinations.connect(account, customer);
    access.fault = 'BucketAccessDenied';
    const { destinations } = environment;
    const asking = (command === 'check' ? destinations.check(account) : destinations.connect(account, customer)).catch(
      () => 'refused',
    );
    expect(await pass(account)).toMatchObject({ state: 'AccessRefused' });
    await asking;
  });
  expect(told()).toEqual([]);
});

test('who was told of a refusal is told also when a person proves that it is mended', async () => {
  const account = newAccount();
  const { access, activities, sent, told } = scene();
  await environment.withWorker(activities, async () => {
    await environment.destinations.connect(account, customer);
    access.fault = 'RoleNotAssumable';
    await ask(account);
    await pass(account);
    access.fault = undefined;
    await environment.destinations.connect(account, { ...customer, bucket: 'acme-other' });
    await isTold(sent, 2);
  });
  expect(told()).toEqual(['destination.access-refused', 'destination.access-restored']);
});

test('settings that are refused do not come into force, so that access to what is in force is not called refused', async () => {
  const account = newAccount();
  const { access, activities } = scene();
  await environment.withWorker(activities, async () => {
    await environment.destinations.connect(account, customer);
    access.fault = 'BucketMissing';
    const connecting = environment.destinations.connect(account, { ...customer, bucket: 'acme-other' });
    const refused = connecting.catch((error: unknown) => error);
    expect(await pass(account)).toMatchObject({ state: 'Waiting', access: { state: 'passed' } });
    expect(await refused).toMatchObject({ cause: { type: 'BucketMissing' } });
    expect((await environment.statusOf(account)).settings?.bucket).toBe(customer.bucket);
  });
});

test('a destination that was never connected, or is paused, is not checked', async () => {
  const [unconnected, paused] = [newAccount(), newAccount()];
  const { access, activities } = scene();
  await environment.withWorker(activities, async () => {
    await environment.announce(unconnected, 'run-1');
    await environment.destinations.connect(paused, customer);
    await environment.destinations.pause(paused);
    for (const account of [unconnected, paused]) {
      await ask(account);
      expect((await environment.statusOf(account)).notes).toEqual([]);
    }
    expect(access.checks).toBe(1);
    await environment.destinations.resume(paused);
    await ask(paused);
    await eventually(
      async () => access.checks,
      (checks) => checks === 2,
    );
  });
});

test('two checks never run at the same time: a person’s waits its turn, one that nobody waits for is left out', async () => {
  const account = newAccount();
  const { access, activities } = scene();
  await environment.withWorker(activities, async () => {
    await environment.destinations.connect(account, customer);
    access.fault = 'BucketMissing';
    await ask(account);
    await when(account, isChecking);
    access.fault = undefined;
    const answers = [1, 2].map(() => environment.destinations.check(account));
    for (let signals = 1; signals <= 3; signals += 1) await ask(account);
    await environment.server.sleep(accessPropagationMs + accessRecheckMs);
    for (const answer of answers) expect(await answer).toMatchObject({ state: 'passed' });
    await when(account, ({ state }) => state === 'Waiting');
  });
  expect(access.mostAtOnce).toBe(1);
  // Of connect; twice of the first signal, refused and not; and of each person.
  expect(access.checks).toBe(5);
});

test('one that nobody waits for tells what a person’s check found, which tells nobody itself', async () => {
  const account = newAccount();
  const { access, activities, sent, told } = scene();
  await environment.withWorker(activities, async () => {
    await environment.destinations.connect(account, customer);
    access.fault = 'BucketMissing';
    const answer = environment.destinations.check(account);
    await when(account, isChecking);
    await ask(account);
    await environment.server.sleep(accessPropagationMs + accessRecheckMs);
    expect(await answer).toMatchObject({ state: 'failed', fault: { type: 'BucketMissing' } });
    await environment.server.sleep(accessPropagationMs + accessRecheckMs);
    await isTold(sent, 1);
  });
  expect(told()).toEqual(['destination.access-refused']);
});

test('a check that waits for a change of settings is of those that have come into force', async () => {
  const account = newAccount();
  const opened = gate();
  const buckets: string[] = [];
  const { activities } = scene({
    checkAccess: async ({ settings }) => {
      buckets.push(settings.bucket);
      if (buckets.length === 2) await opened.opened;
      return proof;
    },
  });
  await environment.withWorker(activities, async () => {
    await environment.destinations.connect(account, customer);
    const connecting = environment.destinations.connect(account, { ...customer, bucket: 'acme-other' });
    await eventually(
      async () => buckets.length,
      (count) => count === 2,
    );
    const checking = environment.destinations.check(account);
    // Only what has been taken up waits.
    await eventually(
      () => environment.destinationOf(account).fetchHistory(),
      ({ events }) =>
        (events ?? []).filter((event) => event.workflowExecutionUpdateAcceptedEventAttributes).length === 3,
    );
    opened.open();
    await Promise.all([connecting, checking]);
  });
  expect(buckets).toEqual([customer.bucket, 'acme-other', 'acme-other']);
});

/** A customer who is connected, of whom other settings are being proven. They are refused in the end. */
async function proofOfOther(account: AccountId, buckets: readonly string[]): Promise<{ refused: Promise<unknown> }> {
  await environment.destinations.connect(account, customer);
  const other = { ...customer, bucket: 'acme-other' };
  const refused = environment.destinations.connect(account, other).catch(() => 'refused');
  await eventually(
    async () => buckets.length,
    (count) => count === 2,
  );
  return { refused };
}

test('one that nobody waits for waits for a proof of other settings, which says nothing of those in force', async () => {
  const account = newAccount();
  const opened = gate();
  const buckets: string[] = [];
  const { activities, sent } = scene({
    checkAccess: async ({ settings }) => {
      buckets.push(settings.bucket);
      if (buckets.length === 1) return proof;
      if (buckets.length === 2) await opened.opened;
      throw needsAttention(settings.bucket === customer.bucket ? 'VendorSetUpRefused' : 'VendorRoleNotAssumable');
    },
  });
  await environment.withWorker(activities, async () => {
    const { refused } = await proofOfOther(account, buckets);
    for (let signals = 1; signals <= 3; signals += 1) await ask(account);
    // The answer comes after what the signals do.
    await environment.statusOf(account);
    opened.open();
    expect(await refused).toBe('refused');
    await when(account, ({ state }) => state === 'AccessRefused');
    await isTold(sent, 1);
  });
  expect(buckets).toEqual([customer.bucket, 'acme-other', customer.bucket]);
  expect(sent).toMatchObject([{ data: { fault: { type: 'VendorSetUpRefused' } } }]);
});

test('one that waits has nothing to check where the bucket is disconnected meanwhile', async () => {
  const account = newAccount();
  const opened = gate();
  const buckets: string[] = [];
  const { activities } = scene({
    checkAccess: async ({ settings }) => {
      buckets.push(settings.bucket);
      if (buckets.length === 1) return proof;
      await opened.opened;
      throw needsAttention('VendorRoleNotAssumable');
    },
  });
  await environment.withWorker(activities, async () => {
    const { refused } = await proofOfOther(account, buckets);
    await ask(account);
    await environment.destinations.disconnect(account);
    opened.open();
    expect(await refused).toBe('refused');
    expect(await environment.statusOf(account)).toMatchObject({ state: 'NotConnected' });
    expect((await environment.destinationOf(account).describe()).status.name).toBe('RUNNING');
  });
  expect(buckets).toEqual([customer.bucket, 'acme-other']);
});

test('one that comes while a refusal is being told checks anew when it has been told', async () => {
  const account = newAccount();
  const [asked, opened] = [gate(), gate()];
  const { access, activities, sent, told } = scene({
    noticesAreOn: async () => {
      asked.open();
      await opened.opened;
      return true;
    },
  });
  await environment.withWorker(activities, async () => {
    await environment.destinations.connect(account, customer);
    access.fault = 'VendorRoleNotAssumable';
    await ask(account);
    await asked.opened;
    access.fault = undefined;
    await ask(account);
    // The answer comes after what the signal does.
    await environment.statusOf(account);
    opened.open();
    await when(account, ({ state }) => state === 'Waiting');
    await isTold(sent, 2);
  });
  expect(told()).toEqual(['destination.access-refused', 'destination.access-restored']);
});

/** The dump itself is let in: `checkAccess` alone says what refuses. */
async function refusedThenDelivered(account: AccountId, { access }: ReturnType<typeof scene>, mended: boolean) {
  await environment.destinations.connect(account, customer);
  access.fault = 'RoleOpen';
  await ask(account);
  await pass(account);
  if (mended) access.fault = undefined;
  await environment.announce(account, 'run-1');
  return when(account, ({ recentDumps }) => recentDumps.length === 1);
}

test('a dump that is delivered after a refusal has access checked anew, which clears it and tells so', async () => {
  const account = newAccount();
  const acme = scene();
  await environment.withWorker(acme.activities, async () => {
    await refusedThenDelivered(account, acme, true);
    await when(account, ({ state }) => state === 'Delivered');
    await isTold(acme.sent, 3);
  });
  expect(acme.told().toSorted()).toEqual([
    'destination.access-refused',
    'destination.access-restored',
    'dump.delivered',
  ]);
});

test('a role that lets anybody in delivers, and is refused all the same', async () => {
  const account = newAccount();
  // Where a dump's notice has ended after the dump, the test server would skip no time.
  const acme = scene({ noticesAreOn: async () => false });
  await environment.withWorker(acme.activities, async () => {
    await refusedThenDelivered(account, acme, false);
    expect(await pass(account)).toMatchObject({
      state: 'AccessRefused',
      access: { fault: { type: 'RoleOpen' } },
      recentDumps: [{ outcome: 'delivered' }],
    });
  });
});

test('the next execution knows what was refused and told', async () => {
  const account = newAccount();
  const { access, activities, sent, told } = scene();
  await environment.withWorker(activities, async () => {
    const { firstExecutionRunId } = await environment.client.workflow.start<typeof destination>('destination', {
      taskQueue: taskQueues.control,
      workflowId: destinationWorkflowId(account),
      args: [{ historyEventsMax: 60 }],
    });
    await environment.destinations.connect(account, customer);
    access.fault = 'KmsDenied';
    await ask(account);
    // No query meanwhile: the test server stops skipping time when one meets an execution that continues as new.
    await environment.server.sleep(accessPropagationMs + accessRecheckMs);
    const first = environment.client.workflow.getHandle(destinationWorkflowId(account), firstExecutionRunId);
    await eventually(
      () => first.describe(),
      ({ status }) => status.name === 'CONTINUED_AS_NEW',
    );
    expect(await environment.statusOf(account)).toMatchObject({
      state: 'AccessRefused',
      access: { fault: { type: 'KmsDenied' } },
    });
    access.fault = undefined;
    await environment.destinations.check(account);
    await isTold(sent, 2);
  });
  expect(told()).toEqual(['destination.access-refused', 'destination.access-restored']);
});
