/** The Temporal Schedule that begins a round of access checks each day. */
import {
  ScheduleAlreadyRunning,
  ScheduleNotFoundError,
  ScheduleOverlapPolicy,
  ServiceError,
  type Client,
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
 * Makes the schedule what the settings say, by as many workers at once as there are: it is created, set to another time, or
 * deleted where there is none. A pause, and whatever note came with it, is an operator's and stays. A worker that may not
 * do this says so and goes on, as dumps do not depend on it.
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
    if (isAt(await schedule.describe(), at)) return;
    await schedule.update<typeof accessRound>(({ state }) => ({ ...wanted, state }));
  }
}

async function deleteSchedule(schedules: ScheduleClient): Promise<void> {
  try {
    await schedules.getHandle(round.scheduleId).delete();
  } catch (error) {
    if (!(error instanceof ScheduleNotFoundError)) throw error;
  }
}

/** No payload is in it: it would be encrypted, and each worker must read the schedule, also when that key is gone. */
const optionsFor = ({ hour, minute }: TimeOfDay) => ({
  scheduleId: round.scheduleId,
  spec: { calendars: [{ hour, minute, comment: 'each day, in UTC' }] },
  action: {
    type: 'startWorkflow' as const,
    workflowType: 'accessRound',
    workflowId: round.workflowId,
    taskQueue: taskQueues.control,
    workflowExecutionTimeout: accessRoundTimeoutMs,
  },
  policies: { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: accessRoundCatchUpMs },
  state: {
    note: 'Has every destination check its access, so that a broken policy is known before the next dump. Pause it as you like; the time is the setting ACCESS_CHECK_AT of the workers.',
  },
});

/** The server gives a time as ranges. */
function isAt({ spec: { calendars = [], intervals = [] } }: ScheduleDescription, { hour, minute }: TimeOfDay): boolean {
  const [calendar, ...others] = calendars;
  const is = (ranges: readonly { start: number; end: number }[] | undefined, time: number): boolean =>
    ranges?.length === 1 && ranges[0]?.start === time && ranges[0].end === time;
  return others.length === 0 && intervals.length === 0 && is(calendar?.hour, hour) && is(calendar?.minute, minute);
}
