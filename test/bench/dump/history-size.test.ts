import { temporal } from '@temporalio/proto';
import { sizeOfHistory } from '../../../bench/dump/history-size';

const { EventType } = temporal.api.enums.v1;
const { HistoryEvent } = temporal.api.history.v1;

const events = (...types: (keyof typeof EventType)[]) =>
  types.map((type) => HistoryEvent.create({ eventType: EventType[type] }));

test('events and bytes are those of every event', () => {
  const history = events('EVENT_TYPE_WORKFLOW_EXECUTION_STARTED', 'EVENT_TYPE_WORKFLOW_TASK_SCHEDULED');
  const bytes = history.map((event) => HistoryEvent.encode(event).finish().length);
  expect(sizeOfHistory(history)).toMatchObject({ events: 2, bytes: (bytes[0] ?? NaN) + (bytes[1] ?? NaN) });
});

test('activities are pending from their schedule until they close, however they close', () => {
  const history = events(
    'EVENT_TYPE_ACTIVITY_TASK_SCHEDULED',
    'EVENT_TYPE_ACTIVITY_TASK_SCHEDULED',
    'EVENT_TYPE_ACTIVITY_TASK_STARTED',
    'EVENT_TYPE_ACTIVITY_TASK_FAILED',
    'EVENT_TYPE_ACTIVITY_TASK_SCHEDULED',
    'EVENT_TYPE_ACTIVITY_TASK_COMPLETED',
    'EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT',
    'EVENT_TYPE_ACTIVITY_TASK_SCHEDULED',
  );
  expect(sizeOfHistory(history).mostPendingActivities).toBe(2);
});

test('the largest payload is found wherever it is', () => {
  const payload = (bytes: number) => ({ metadata: {}, data: Buffer.alloc(bytes) });
  const history = [
    HistoryEvent.create({
      workflowExecutionStartedEventAttributes: { input: { payloads: [payload(10), payload(1_000)] } },
    }),
    HistoryEvent.create({
      activityTaskFailedEventAttributes: {
        failure: { cause: { applicationFailureInfo: { details: { payloads: [payload(5_000)] } } } },
      },
    }),
  ];
  const { largestPayloadBytes } = sizeOfHistory(history);
  expect(largestPayloadBytes).toBeGreaterThanOrEqual(5_000);
  expect(largestPayloadBytes).toBeLessThan(5_020);
});

test('where two activities shared a workflow task there could have been three events more', () => {
  const history = events(
    'EVENT_TYPE_WORKFLOW_EXECUTION_STARTED',
    'EVENT_TYPE_WORKFLOW_TASK_COMPLETED',
    'EVENT_TYPE_ACTIVITY_TASK_COMPLETED',
    'EVENT_TYPE_ACTIVITY_TASK_COMPLETED',
    'EVENT_TYPE_WORKFLOW_TASK_COMPLETED',
  );
  expect(sizeOfHistory(history)).toMatchObject({ events: 5, workflowTasks: 2, eventsAtMost: 8 });
});
