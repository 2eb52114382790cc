import { Client, type ConnectionLike } from '@temporalio/client';
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

test.each<[string, (spec: Spec) => Spec]>([
  ['a second time', (spec) => ({ structuredCalendar: [...(spec.structuredCalendar ?? []), { hour: [{ start: 9 }] }] })],
  ['an interval', (spec) => ({ ...spec, interval: [{ interval: msToTs('1 minute') }] })],
  [
    'hours in a row',
    (spec) => ({
      structuredCalendar:
        spec.structuredCalendar?.map((one) => ({ ...one, hour: [{ start: 4, end: 9, step: 1 }] })) ?? [],
    }),
  ],
])('%s that was added by hand is taken back: the time is a setting', async (_what, edited) => {
  const namespace = new FakeNamespace();
  await keepAccessSchedule(namespace.client, four, noWarnings);
  namespace.schedule = { ...namespace.schedule, spec: edited(namespace.schedule?.spec ?? {}) };
  await keepAccessSchedule(namespace.client, four, noWarnings);
  expect(namespace.writes).toBe(2);
  expect(namespace.times).toEqual([[4, 0]]);
  expect(namespace.schedule.spec?.interval ?? []).toEqual([]);
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
