/** The Temporal Schedule that begins a round of access checks each day. */
import { isDeepStrictEqual } from 'node:util';
import {
  ScheduleAlreadyRunning,
  ScheduleNotFoundError,
  ScheduleOverlapPolicy,
  ServiceError,
  type CalendarSpecDescription,
  type Client,
  type Range,
  type ScheduleClient,
  type ScheduleDescription,
} from '@temporalio/client';
import { accessRound as round, taskQueues } from './contract';
import { accessRoundCatchUpMs, accessRoundTimeoutMs } from './timing';
import type { accessRound } from './workflows';

/** In UTC. */
export interface TimeOfDay {
  readonly hour: number;
  readonly minute: number;
}

/**
 * Makes the schedule what the settings and this release say, by as many workers at once as there are: it is created,
 * written anew where anything of it is otherwise, or deleted where there is none. A pause, and whatever note came with it,
 * is an operator's and stays. A worker that may not do this says so and goes on, as dumps do not depend on it.
 */
export async function keepAccessSchedule(
  { schedule: schedules, options: { namespace } }: Pick<Client, 'schedule' | 'options'>,
  at: TimeOfDay | undefined,
  warn: (message: string) => void,
): Promise<void> {
  try {
    await (at === undefined ? deleteSchedule(schedules) : createOrUpdate(schedules, at));
  } catch (error) {
    const { message } = error instanceof ServiceError && error.cause instanceof Error ? error.cause : (error as Error);
    warn(
      `The schedule ${round.scheduleId} of the namespace ${namespace} could not be kept as ACCESS_CHECK_AT says ` +
        `(${message}): access is checked each day only if it is there already. ` +
        `The next start tries again; if a permission is missing, let the worker create, read, update and delete schedules (on Temporal Cloud: Write).`,
    );
  }
}

async function createOrUpdate(schedules: ScheduleClient, at: TimeOfDay): Promise<void> {
  const wanted = optionsFor(at);
  try {
    await schedules.create<typeof accessRound>(wanted);
  } catch (error) {
    if (!(error instanceof ScheduleAlreadyRunning)) throw error;
    const schedule = schedules.getHandle(round.scheduleId);
    // What is as it should be is not written: a write might undo the pause of an operator who presses the button just then.
    if (isAs(wanted, await schedule.describe())) return;
    await schedule.update<typeof accessRound>(({ state: { paused, note = '' } }) => ({
      ...wanted,
      state: { paused, note },
    }));
  }
}

async function deleteSchedule(schedules: ScheduleClient): Promise<void> {
  try {
    await schedules.getHandle(round.scheduleId).delete();
  } catch (error) {
    if (!(error instanceof ScheduleNotFoundError)) throw error;
  }
}

/**
 * Written out as the server gives it back, so that the two can be compared. No payload is in it: it would be encrypted, and
 * each worker must read the schedule, also when that key is gone.
 */
const optionsFor = (at: TimeOfDay) => ({
  scheduleId: round.scheduleId,
  spec: { calendars: [eachDay(at)], intervals: [], skip: [], timezone: 'UTC' },
  action: {
    type: 'startWorkflow' as const,
    workflowType: 'accessRound',
    workflowId: round.workflowId,
    taskQueue: taskQueues.control,
    args: [] as [],
    workflowExecutionTimeout: accessRoundTimeoutMs,
  },
  policies: { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: accessRoundCatchUpMs, pauseOnFailure: false },
  state: {
    paused: false,
    note: 'Has every destination check its access, so that a broken policy is known before the next dump. Pause it as you like; the time is the setting ACCESS_CHECK_AT of the workers.',
  },
});

const eachDay = ({ hour, minute }: TimeOfDay): CalendarSpecDescription => ({
  second: fromTo(0, 0),
  minute: fromTo(minute, minute),
  hour: fromTo(hour, hour),
  dayOfMonth: fromTo(1, 31),
  month: fromTo('JANUARY', 'DECEMBER'),
  // The server's way to say any year.
  year: [],
  dayOfWeek: fromTo('SUNDAY', 'SATURDAY'),
  comment: 'each day, in UTC',
});

const fromTo = <Unit>(start: Unit, end: Unit): Range<Unit>[] => [{ start, end, step: 1 }];

/** But for a pause and its note. Whatever narrows the spec would leave days out. */
function isAs(wanted: ReturnType<typeof optionsFor>, { spec, action, policies, state }: ScheduleDescription): boolean {
  const { type, workflowType, workflowId, taskQueue, args, workflowExecutionTimeout } = action;
  return (
    isDeepStrictEqual(spec, { ...wanted.spec, startAt: undefined, endAt: undefined, jitter: undefined }) &&
    isDeepStrictEqual({ type, workflowType, workflowId, taskQueue, args, workflowExecutionTimeout }, wanted.action) &&
    isDeepStrictEqual(policies, wanted.policies) &&
    state.remainingActions === undefined
  );
}
