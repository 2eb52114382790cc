import { readFileSync } from 'node:fs';
import path from 'node:path';
import { temporal } from '@temporalio/proto';
import { timelineOf } from '../../../bench/dump/timeline';

const recorded = (name: string): temporal.api.history.v1.IHistoryEvent[] => {
  const file = path.join(__dirname, '..', '..', 'histories', `${name}.json`);
  const { history } = JSON.parse(readFileSync(file, 'utf8')) as { history: Record<string, unknown> };
  return temporal.api.history.v1.History.fromObject(history).events;
};

/** As if no attempt had failed. */
function smooth(events: temporal.api.history.v1.IHistoryEvent[]): temporal.api.history.v1.IHistoryEvent[] {
  for (const { activityTaskStartedEventAttributes: started } of events) if (started) started.attempt = 1;
  return events;
}

test('a delivered dump’s timeline has each activity, with its table, in the order of its times', () => {
  const { startedMs, closedMs, activities } = timelineOf(smooth(recorded('dump-delivered')));
  const tables = new Set(activities.flatMap(({ table }) => table ?? []));
  expect(activities.filter(({ type }) => type === 'extractTable')).toHaveLength(tables.size);
  expect(activities.filter(({ table }) => table === undefined).map(({ type }) => type)).toEqual([
    'assumeCustomerRole',
    'commitReceipt',
    'clearStaging',
  ]);
  for (const run of activities) {
    expect([startedMs, run.scheduledMs, run.startedMs, run.closedMs, closedMs]).toEqual(
      [startedMs, run.scheduledMs, run.startedMs, run.closedMs, closedMs].toSorted((a, b) => a - b),
    );
  }
});

test('a dump that did not complete has none', () => {
  expect(() => timelineOf(recorded('dump-abandoned'))).toThrow('not of a workflow that completed');
  expect(() => timelineOf([])).toThrow('not of a workflow that completed');
});

test('where an activity was tried again, the time says nothing of a smooth dump', () => {
  expect(() => timelineOf(recorded('dump-delivered'))).toThrow('copyShards was tried again');
});
