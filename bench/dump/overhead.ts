/**
 * What orchestration adds to a dump. Pure.
 *
 * The critical path goes back from the dump's end: each activity is preceded by the one that closed last before it was
 * scheduled, of the same table or of all tables. Tables are side by side, so it leads through the one that was ready last.
 * On it, service time is when a request of its activities was under way, or an extract job that they wait for. All other
 * time from the dump's start to its end is overhead.
 */
import type { Call, Interval } from './calls';
import type { ActivityRun, Timeline } from './timeline';

/** Milliseconds. The parts are all of the overhead. */
export interface Overhead {
  readonly wallMs: number;
  readonly serviceMs: number;
  readonly overheadMs: number;
  readonly parts: {
    /** From an activity's close to when what follows is scheduled, and from the last to the end. */
    readonly workflowTasks: number;
    /** From an activity's schedule to its start by a worker. */
    readonly dispatch: number;
    /** From the end of an extract job to when it is asked for next. */
    readonly polling: number;
    /** The rest of the activities: our code, heartbeats, the report of their ends. */
    readonly activities: number;
  };
  /** From the dump's start until the receipt is written. */
  readonly receiptMs: number;
}

export function overheadOf(timeline: Timeline, calls: readonly Call[]): Overhead {
  const path = criticalPath(timeline);
  const inActivities = path.map((run) => withinActivity(run, calls));
  const ends = [timeline.startedMs, ...path.map(({ closedMs }) => closedMs)];
  const begins = [...path.map(({ scheduledMs }) => scheduledMs), timeline.closedMs];
  const wallMs = timeline.closedMs - timeline.startedMs;
  const serviceMs = sum(inActivities.map((each) => each.serviceMs));
  return {
    wallMs,
    serviceMs,
    overheadMs: wallMs - serviceMs,
    parts: {
      workflowTasks: sum(begins.map((begin, index) => begin - (ends[index] ?? begin))),
      dispatch: sum(path.map(({ scheduledMs, startedMs }) => startedMs - scheduledMs)),
      polling: sum(inActivities.map((each) => each.pollingMs)),
      activities: sum(inActivities.map((each) => each.restMs)),
    },
    receiptMs: (path.find(({ type }) => type === 'commitReceipt')?.closedMs ?? NaN) - timeline.startedMs,
  };
}

export function criticalPath({ activities, closedMs }: Timeline): ActivityRun[] {
  const path: ActivityRun[] = [];
  let before = closedMs;
  let table: string | undefined;
  for (;;) {
    const last = activities
      .filter((run) => run.closedMs <= before)
      .filter((run) => table === undefined || run.table === undefined || run.table === table)
      .toSorted((one, other) => one.closedMs - other.closedMs)
      .at(-1);
    if (last === undefined) return path;
    path.unshift(last);
    ({ scheduledMs: before, table } = last);
  }
}

function withinActivity(
  { activityId, startedMs, closedMs }: ActivityRun,
  calls: readonly Call[],
): { serviceMs: number; pollingMs: number; restMs: number } {
  const its = calls.filter((call) => call.activityId === activityId);
  const busy = union(
    its.map(({ fromMs, toMs }) => ({ fromMs: Math.max(fromMs, startedMs), toMs: Math.min(toMs, closedMs) })),
  );
  const serviceMs = sum(busy.map(({ fromMs, toMs }) => toMs - fromMs));
  const jobEnds = its.filter(({ what }) => what === 'job').map(({ toMs }) => toMs);
  const endsJob = ({ fromMs, toMs }: Interval): boolean => jobEnds.some((end) => fromMs <= end && end <= toMs);
  const pollingMs = sum(
    busy.map((interval, index) => (endsJob(interval) ? (busy[index + 1]?.fromMs ?? closedMs) - interval.toMs : 0)),
  );
  return { serviceMs, pollingMs, restMs: closedMs - startedMs - serviceMs - pollingMs };
}

/** Without overlaps, in order. */
function union(intervals: readonly Interval[]): Interval[] {
  const joined: Interval[] = [];
  for (const next of intervals.toSorted((one, other) => one.fromMs - other.fromMs)) {
    const last = joined.at(-1);
    if (last === undefined || next.fromMs > last.toMs) joined.push(next);
    else if (next.toMs > last.toMs) joined[joined.length - 1] = { fromMs: last.fromMs, toMs: next.toMs };
  }
  return joined;
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
