import { Client, type ConnectionLike } from '@temporalio/client';
import { defaultPayloadConverter } from '@temporalio/common';
import { msToTs, tsToMs } from '@temporalio/common/lib/time';
import type { temporal } from '@temporalio/proto';
import { keepAccessSchedule } from '../src/access-schedule';
import { accessRoundGiveUpMs } from '../src/timing';

type Schedule = temporal.api.schedule.v1.ISchedule;
type Spec = temporal.api.schedule.v1.IScheduleSpec;

/** As gRPC clients reject: an error with `code`, `details` and `metadata`. */
const grpcError = (code: number, details = ''): Error =>
  Object.assign(new Error(`${code} ${details}`), { code, details, metadata: { get: () => [] } });

const grpc = { notFound: 5, alreadyExists: 6, permissionDenied: 7 };

/** A namespace that keeps one schedule, and counts what is written. */
class FakeNamespace {
  schedule: Schedule | undefined;
  writes = 0;
  refusing: Error | undefined;

  readonly client = new Client({
    namespace: 'acme.prod',
    connection: {
      workflowService: {
        createSchedule: async ({ schedule }: { schedule: Schedule }) => {
          if (this.refusing !== undefined) throw this.refusing;
          if (this.schedule !== undefined) throw grpcError(grpc.alreadyExists);
          this.write(schedule);
          return {};
        },
        describeSchedule: async () => {
          if (this.schedule === undefined) throw grpcError(grpc.notFound);
          return { schedule: this.schedule, info: { createTime: { seconds: 0, nanos: 0 } } };
        },
        updateSchedule: async ({ schedule }: { schedule: Schedule }) => {
          this.write(schedule);
          return {};
        },
        deleteSchedule: async () => {
          if (this.refusing !== undefined) throw this.refusing;
          if (this.schedule === undefined) throw grpcError(grpc.notFound);
          this.schedule = undefined;
          return {};
        },
      },
      plugins: [],
    } as unknown as ConnectionLike,
  });

  private write(schedule: Schedule): void {
    this.writes += 1;
    this.schedule = schedule;
  }

  get times(): (readonly [unknown, unknown])[] {
    return (this.schedule?.spec?.structuredCalendar ?? []).map(
      ({ hour, minute }) => [hour?.[0]?.start, minute?.[0]?.start] as const,
    );
  }
}

const four = { hour: 4, minute: 0 };
const noWarnings = (message: string): void => {
  throw new Error(message);
};

test('a namespace without the schedule gets it, with a note that says what it is', async () => {
  const namespace = new FakeNamespace();
  await keepAccessSchedule(namespace.client, four, noWarnings);
  expect(namespace.times).toEqual([[4, 0]]);
  expect(namespace.schedule?.state?.notes).toContain('ACCESS_CHECK_AT');
  expect(namespace.schedule?.action?.startWorkflow).toMatchObject({
    workflowType: { name: 'accessRound' },
    taskQueue: { name: 's3-destination-control' },
  });
});

test('no payload is in it, so that workers with other keys, or none, can read it', async () => {
  const namespace = new FakeNamespace();
  await keepAccessSchedule(namespace.client, four, noWarnings);
  const { input, memo, userMetadata } = namespace.schedule?.action?.startWorkflow ?? {};
  expect([...(input?.payloads ?? []), memo, userMetadata]).toEqual([undefined, undefined]);
});

test('a round ends before the next day’s, also where no worker ends it: while it lasts, none begins', async () => {
  const namespace = new FakeNamespace();
  await keepAccessSchedule(namespace.client, four, noWarnings);
  const { action, policies } = namespace.schedule ?? {};
  const timeoutMs = tsToMs(action?.startWorkflow?.workflowExecutionTimeout);
  const catchUpMs = tsToMs(policies?.catchupWindow);
  expect(timeoutMs).toBeGreaterThan(accessRoundGiveUpMs);
  expect(timeoutMs + catchUpMs).toBeLessThanOrEqual(24 * 3_600_000);
});

test('a schedule that is as it should be is not written, so that no pause of that moment is undone', async () => {
  const namespace = new FakeNamespace();
  await keepAccessSchedule(namespace.client, four, noWarnings);
  await keepAccessSchedule(namespace.client, four, noWarnings);
  expect(namespace.writes).toBe(1);
});

test('another time is set, and an operator’s pause and note stay', async () => {
  const namespace = new FakeNamespace();
  await keepAccessSchedule(namespace.client, four, noWarnings);
  namespace.schedule = { ...namespace.schedule, state: { paused: true, notes: 'AWS moves house' } };
  await keepAccessSchedule(namespace.client, { hour: 4, minute: 30 }, noWarnings);
  expect(namespace.times).toEqual([[4, 30]]);
  expect(namespace.schedule.state).toMatchObject({ paused: true, notes: 'AWS moves house' });
});

/** As written by the UI or the command line, for somebody's reason. */
const narrowed = (by: temporal.api.schedule.v1.IStructuredCalendarSpec) => (schedule: Schedule) =>
  withSpec((spec) => ({ structuredCalendar: (spec.structuredCalendar ?? []).map((one) => ({ ...one, ...by })) }))(
    schedule,
  );
const withSpec = (change: (spec: Spec) => Spec) => (schedule: Schedule) => ({
  ...schedule,
  spec: { ...schedule.spec, ...change(schedule.spec ?? {}) },
});
const withPolicies = (policies: temporal.api.schedule.v1.ISchedulePolicies) => (schedule: Schedule) => ({
  ...schedule,
  policies: { ...schedule.policies, ...policies },
});
const withAction = (startWorkflow: temporal.api.workflow.v1.INewWorkflowExecutionInfo) => (schedule: Schedule) => ({
  ...schedule,
  action: { startWorkflow: { ...schedule.action?.startWorkflow, ...startWorkflow } },
});

test.each<[string, (schedule: Schedule) => Schedule]>([
  [
    'a second time',
    withSpec(({ structuredCalendar }) => ({
      structuredCalendar: [...(structuredCalendar ?? []), { hour: [{ start: 9 }] }],
    })),
  ],
  ['an interval', withSpec(() => ({ interval: [{ interval: msToTs('1 minute') }] }))],
  [
    'an interval in the place of the time',
    withSpec(() => ({ structuredCalendar: [], interval: [{ interval: msToTs('1 day') }] })),
  ],
  ['hours in a row', narrowed({ hour: [{ start: 4, end: 9, step: 1 }] })],
  ['every second of the minute', narrowed({ second: [{ start: 0, end: 59, step: 1 }] })],
  ['working days only', narrowed({ dayOfWeek: [{ start: 1, end: 5, step: 1 }] })],
  ['the first of the month only', narrowed({ dayOfMonth: [{ start: 1, end: 1, step: 1 }] })],
  ['every second day', narrowed({ dayOfMonth: [{ start: 1, end: 31, step: 2 }] })],
  ['one month only', narrowed({ month: [{ start: 8, end: 8, step: 1 }] })],
  ['one year only', narrowed({ year: [{ start: 2026, end: 2026, step: 1 }] })],
  ['another timezone', withSpec(() => ({ timezoneName: 'Europe/Copenhagen' }))],
  ['a start', withSpec(() => ({ startTime: msToTs(Date.UTC(2030, 0)) }))],
  ['an end', withSpec(() => ({ endTime: msToTs(Date.UTC(2024, 0)) }))],
  ['a day to skip', withSpec(() => ({ excludeStructuredCalendar: [{ dayOfWeek: [{ start: 0, end: 0, step: 1 }] }] }))],
  ['a jitter', withSpec(() => ({ jitter: msToTs('12 hours') }))],
  ['a pause on failure', withPolicies({ pauseOnFailure: true })],
  ['another overlap', withPolicies({ overlapPolicy: 5 })],
  ['another catch-up window', withPolicies({ catchupWindow: msToTs('1 minute') })],
  ['another workflow', withAction({ workflowType: { name: 'dump' } })],
  ['another workflow id', withAction({ workflowId: 'another' })],
  ['another task queue', withAction({ taskQueue: { name: 'another' } })],
  ['another time limit', withAction({ workflowExecutionTimeout: msToTs('1 minute') })],
  ['an input', withAction({ input: { payloads: [defaultPayloadConverter.toPayload('x')] } })],
  ['a limit of rounds', (schedule) => ({ ...schedule, state: { ...schedule.state, limitedActions: true } })],
])('%s, set by hand or by an older release, is taken back', async (_what, edit) => {
  const namespace = new FakeNamespace();
  await keepAccessSchedule(namespace.client, four, noWarnings);
  const asItShouldBe = namespace.schedule;
  namespace.schedule = edit(asItShouldBe ?? {});
  await keepAccessSchedule(namespace.client, four, noWarnings);
  expect(namespace.writes).toBe(2);
  expect(namespace.schedule).toEqual(asItShouldBe);
  await keepAccessSchedule(namespace.client, four, noWarnings);
  expect(namespace.writes).toBe(2);
});

test('where checks are off there is no schedule, whether or not there was one', async () => {
  const namespace = new FakeNamespace();
  await keepAccessSchedule(namespace.client, four, noWarnings);
  await keepAccessSchedule(namespace.client, undefined, noWarnings);
  expect(namespace.schedule).toBeUndefined();
  await keepAccessSchedule(namespace.client, undefined, noWarnings);
});

test.each([[four], [undefined]])(
  'a worker that may not keep the schedule says so in one line and goes on: %j',
  async (at) => {
    const namespace = new FakeNamespace();
    namespace.refusing = grpcError(grpc.permissionDenied, 'Request unauthorized.');
    const said: string[] = [];
    await keepAccessSchedule(namespace.client, at, (message) => said.push(message));
    expect(said).toEqual([
      expect.stringMatching(
        /^The schedule s3-destination-access-round of the namespace acme\.prod could not be kept .*Request unauthorized\..*on Temporal Cloud: Write/,
      ),
    ]);
  },
);
