/** When a dump did what, by Temporal's clock: read from its history. Pure. */
import { temporal } from '@temporalio/proto';

type Event = temporal.api.history.v1.IHistoryEvent;

const { EventType } = temporal.api.enums.v1;

/** Times are epoch milliseconds, with fractions. */
export interface ActivityRun {
  readonly activityId: string;
  readonly type: string;
  /** Absent where it is about all tables. */
  readonly table: string | undefined;
  readonly scheduledMs: number;
  readonly startedMs: number;
  readonly closedMs: number;
}

export interface Timeline {
  readonly startedMs: number;
  readonly closedMs: number;
  readonly activities: readonly ActivityRun[];
}

/** @throws Error where the workflow did not complete, or an activity needed more than one attempt. */
export function timelineOf(events: readonly Event[]): Timeline {
  const byId = new Map(events.map((event) => [String(event.eventId), event]));
  const [first] = events;
  const last = events.at(-1);
  if (first === undefined || last?.eventType !== EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED) {
    throw new Error('The history is not of a workflow that completed.');
  }
  return { startedMs: timeMs(first), closedMs: timeMs(last), activities: events.flatMap(activityRun) };

  function activityRun(completed: Event): ActivityRun[] {
    const ids = completed.activityTaskCompletedEventAttributes;
    if (!ids) return [];
    const scheduled = byId.get(String(ids.scheduledEventId));
    const started = byId.get(String(ids.startedEventId));
    const { activityId, activityType, input } = scheduled?.activityTaskScheduledEventAttributes ?? {};
    if (!scheduled || !started || !activityId || !activityType?.name) throw new Error('An activity has no beginning.');
    if (started.activityTaskStartedEventAttributes?.attempt !== 1) {
      throw new Error(`${activityType.name} was tried again: its time is not that of a smooth dump.`);
    }
    return [
      {
        activityId,
        type: activityType.name,
        table: tableIn(input?.payloads?.[0]?.data),
        scheduledMs: timeMs(scheduled),
        startedMs: timeMs(started),
        closedMs: timeMs(completed),
      },
    ];
  }
}

function tableIn(json: Uint8Array | null | undefined): string | undefined {
  if (!json) return undefined;
  return (JSON.parse(Buffer.from(json).toString()) as { table?: string }).table;
}

const timeMs = ({ eventTime }: Event): number => Number(eventTime?.seconds) * 1_000 + (eventTime?.nanos ?? 0) / 1e6;
