/** The daily check of access: a real schedule, real workers, a policy that the customer breaks, and a receiver that is told. */
import type { ScheduleDescription, ScheduleHandle } from '@temporalio/client';
import type { CustomerAccount } from '../../sandbox/aws';
import type { Running } from '../../sandbox/processes';
import { accessRound, destinationWorkflowId, type AccessCheck, type DestinationStatus } from '../../src/contract';
import { parseAccountId, parseBucketName } from '../../src/dump/inputs';
import { trustPolicy } from '../../src/dump/policies';
import { eventually } from '../eventually';
import { dataset, EndToEnd, twelveHoursAhead } from './environment';
import { Receiver } from './receiver';

const somebodyElse = parseAccountId('somebody-else');
/** Longer than a refusal takes to be believed. */
const believedMs = 80_000;

const receiver = new Receiver();
let endToEnd: EndToEnd;
let schedule: ScheduleHandle;
let workers: readonly Running[];
const customers = new Map<string, CustomerAccount>();

async function startWorkers(accessCheckAt: string): Promise<void> {
  const settings = { ...notices, ACCESS_CHECK_AT: accessCheckAt };
  workers = await Promise.all([endToEnd.startWorker(settings, 'control'), endToEnd.startWorker(settings)]);
}
let notices: Readonly<Record<string, string>>;

async function restartWorkers(accessCheckAt: string): Promise<void> {
  await Promise.all(workers.map((worker) => worker.stop()));
  await startWorkers(accessCheckAt);
}

beforeAll(async () => {
  [notices, endToEnd] = await Promise.all([receiver.start(), EndToEnd.start({ scale: 0.01, shardRows: 500 })]);
  schedule = endToEnd.client.schedule.getHandle(accessRound.scheduleId);
  await startWorkers(twelveHoursAhead);
});
afterAll(async () => {
  await endToEnd?.stop();
  await receiver.stop();
});

async function connect(name: string): Promise<void> {
  const account = parseAccountId(name);
  const bucket = parseBucketName(`${name}-data`);
  const customer = await endToEnd.sandbox.addCustomer(account, bucket, { roleName: name });
  customers.set(name, customer);
  await endToEnd.destinations.connect(account, { roleArn: customer.roleArn, bucket, tables: ['contacts'] });
}

const setTrust = async (name: string, isMended: boolean): Promise<void> =>
  customers.get(name)?.setTrust(trustPolicy(isMended ? parseAccountId(name) : somebodyElse));

const announce = (name: string): Promise<void> =>
  endToEnd.destinations.modellingRunSucceeded(name, { runId: 'run-1', finishedAt: new Date(), dataset });

const statusOf = async (name: string): Promise<DestinationStatus> =>
  (await endToEnd.destinations.status(name)).destination;

const when = (name: string, holds: (status: DestinationStatus) => boolean): Promise<DestinationStatus> =>
  eventually(() => statusOf(name), holds, believedMs);

const saidAt = ({ access }: { access?: AccessCheck }): number =>
  access === undefined || access.state === 'checking' ? NaN : Date.parse(access.at);

/** Has a round begin now, and returns what it says when every destination has been asked. */
async function round(): Promise<unknown> {
  const { numActionsTaken } = (await schedule.describe()).info;
  await schedule.trigger();
  const { info } = await eventually(
    () => schedule.describe(),
    (description) => description.info.numActionsTaken > numActionsTaken,
  );
  return endToEnd.client.workflow.getHandle(info.recentActions.at(-1)?.action.workflow.workflowId ?? '').result();
}

const timesOf = ({ spec: { calendars = [] } }: ScheduleDescription): string[] =>
  calendars.map(({ hour, minute }) => [hour, minute].map((of) => String(of[0]?.start).padStart(2, '0')).join(':'));

test('workers that start at once make one schedule, which says what it is', async () => {
  const ids: string[] = [];
  for await (const { scheduleId } of endToEnd.client.schedule.list()) ids.push(scheduleId);
  expect(ids).toEqual(['s3-destination-access-round']);
  const description = await schedule.describe();
  expect(timesOf(description)).toEqual([twelveHoursAhead]);
  expect(description.policies.overlap).toBe('SKIP');
  expect(description.state).toMatchObject({
    paused: false,
    note: expect.stringContaining('a broken policy is known before the next dump') as string,
  });
  for (const worker of workers) expect(worker.output()).not.toContain('could not be kept');
});

test('a policy that a customer breaks is known before any dump, and told once; mended, it is told as well', async () => {
  await Promise.all(['fine', 'broken', 'paused', 'ended'].map(connect));
  await announce('unconnected');
  await Promise.all(['broken', 'paused', 'ended'].map((name) => setTrust(name, false)));
  await endToEnd.destinations.pause('paused');
  const before = { fine: await statusOf('fine'), paused: await statusOf('paused') };
  await eventually(
    () => endToEnd.destinations.overview({ limit: 50 }),
    ({ counts }) => counts.Waiting === 3 && counts.Paused === 1,
    30_000,
  );
  // The list may name it for a moment yet.
  await endToEnd.client.workflow.getHandle(destinationWorkflowId(parseAccountId('ended'))).terminate();

  expect(await round()).toEqual({ asked: 2 });
  expect(await when('broken', ({ state }) => state === 'AccessRefused')).toMatchObject({
    access: { state: 'failed', fault: { type: 'RoleNotAssumable', mender: 'customer' } },
    recentDumps: [],
  });
  await receiver.hasTaken('broken', 1);
  await when('fine', (status) => saidAt(status) > saidAt(before.fine));
  expect(await statusOf('fine')).toMatchObject({ state: 'Waiting', access: { state: 'passed' } });
  expect(saidAt(await statusOf('paused'))).toBe(saidAt(before.paused));
  const { customers: lines } = await eventually(
    () => endToEnd.destinations.overview({ limit: 50 }),
    ({ counts }) => counts.AccessRefused === 1,
    30_000,
  );
  expect(lines[0]).toMatchObject({
    accountId: 'broken',
    state: 'AccessRefused',
    refusal: { fault: { type: 'RoleNotAssumable' } },
  });

  const { access } = await statusOf('broken');
  await round();
  await when('broken', (status) => saidAt(status) > saidAt(access === undefined ? {} : { access }));
  await setTrust('broken', true);
  await round();
  await when('broken', ({ state }) => state === 'Waiting');
  await receiver.hasTaken('broken', 2);
  expect(receiver.taken.map(({ type, data }) => `${data.account} ${type}`)).toEqual([
    'broken destination.access-refused',
    'broken destination.access-restored',
  ]);
  expect(receiver.taken[0]).toMatchObject({
    id: expect.stringMatching(/^notice\/broken\/access-\d{4}-\d\d-\d\dT\d\d:\d\d\/1$/) as string,
    data: {
      fault: { type: 'RoleNotAssumable', mender: 'customer', remedy: expect.stringContaining('"broken"') as string },
    },
  });
}, 240_000);

test('a dump that is delivered after a refusal has it taken back', async () => {
  await connect('again');
  await setTrust('again', false);
  await round();
  await when('again', ({ state }) => state === 'AccessRefused');
  await setTrust('again', true);
  await announce('again');
  await when('again', ({ state }) => state === 'Delivered');
  await receiver.hasTaken('again', 3);
  expect(
    receiver
      .takenOf('again')
      .map(({ type }) => type)
      .toSorted(),
  ).toEqual(['destination.access-refused', 'destination.access-restored', 'dump.delivered']);
});

test('another time is set by workers that restart; an operator’s pause stays; off takes the schedule away; the default is four', async () => {
  await schedule.pause('AWS moves house');
  await restartWorkers('05:30');
  const description = await schedule.describe();
  expect(timesOf(description)).toEqual(['05:30']);
  expect(description.state).toMatchObject({ paused: true, note: 'AWS moves house' });

  await restartWorkers('05:30');
  expect((await schedule.describe()).info.lastUpdatedAt).toEqual(description.info.lastUpdatedAt);

  await restartWorkers('off');
  await expect(schedule.describe()).rejects.toMatchObject({ name: 'ScheduleNotFoundError' });
  await restartWorkers('');
  const anew = await schedule.describe();
  expect(timesOf(anew)).toEqual(['04:00']);
  expect(anew.state.paused).toBe(false);
}, 240_000);
