/** How large a history is, counted event by event: the second way, beside what Temporal says of it. Pure. */
import { temporal } from '@temporalio/proto';

type Event = temporal.api.history.v1.IHistoryEvent;

const { HistoryEvent } = temporal.api.history.v1;
const { Payload } = temporal.api.common.v1;
const { EventType } = temporal.api.enums.v1;

/** Temporal documentation, "Temporal Cloud limits" and "Self-hosted defaults". */
export const limits = {
  events: 51_200,
  historyBytes: 50 * 1024 ** 2,
  payloadBytes: 2 * 1024 ** 2,
  pendingActivities: 2_000,
} as const;

export interface HistorySize {
  readonly events: number;
  /** Of the events, each serialised by itself. */
  readonly bytes: number;
  readonly largestPayloadBytes: number;
  /** Activities that were scheduled and not closed, at their most. */
  readonly mostPendingActivities: number;
  readonly workflowTasks: number;
  /** Activities that end together share a workflow task. So many events there are where none do. */
  readonly eventsAtMost: number;
}

export function sizeOfHistory(events: readonly Event[]): HistorySize {
  const workflowTasks = events.filter(
    ({ eventType }) => eventType === EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED,
  ).length;
  const causes = events.filter(({ eventType }) => causesOfWorkflowTasks.has(eventType)).length;
  return {
    events: events.length,
    bytes: events.reduce((sum, event) => sum + HistoryEvent.encode(event).finish().length, 0),
    largestPayloadBytes: Math.max(0, ...events.map(largestPayloadIn)),
    mostPendingActivities: mostPendingActivities(events),
    workflowTasks,
    eventsAtMost: events.length + eventsOfWorkflowTask * Math.max(causes - workflowTasks, 0),
  };
}

function largestPayloadIn(value: unknown): number {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return 0;
  if (isPayload(value)) return Payload.encode(value).finish().length;
  return Math.max(0, ...Object.values(value).map(largestPayloadIn));
}

/** Decoded messages are of no class that could be asked for. */
const isPayload = (value: object): value is temporal.api.common.v1.IPayload =>
  'metadata' in value && 'data' in value && ArrayBuffer.isView(value.data);

/** Scheduled, started, completed. */
const eventsOfWorkflowTask = 3;

const closings: ReadonlySet<unknown> = new Set([
  EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED,
  EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED,
  EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT,
  EventType.EVENT_TYPE_ACTIVITY_TASK_CANCELED,
]);

const causesOfWorkflowTasks: ReadonlySet<unknown> = new Set([
  ...closings,
  EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED,
  EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED,
  EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ADMITTED,
  EventType.EVENT_TYPE_TIMER_FIRED,
  EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED,
  EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_COMPLETED,
]);

function mostPendingActivities(events: readonly Event[]): number {
  let pending = 0;
  let most = 0;
  for (const { eventType } of events) {
    if (eventType === EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED) most = Math.max(most, ++pending);
    if (closings.has(eventType)) pending--;
  }
  return most;
}
