import type { Call } from '../../../bench/dump/calls';
import { criticalPath, overheadOf } from '../../../bench/dump/overhead';
import type { ActivityRun, Timeline } from '../../../bench/dump/timeline';

const run = (
  activityId: string,
  type: string,
  table: string | undefined,
  [scheduledMs, startedMs, closedMs]: [number, number, number],
): ActivityRun => ({ activityId, type, table, scheduledMs, startedMs, closedMs });

/** Table b is ready last, although a's extract ends after b's. */
const timeline: Timeline = {
  startedMs: 0,
  closedMs: 1_000,
  activities: [
    run('1', 'assumeCustomerRole', undefined, [10, 15, 50]),
    run('2', 'extractTable', 'a', [60, 62, 300]),
    run('3', 'extractTable', 'b', [60, 64, 250]),
    run('4', 'copyShards', 'a', [310, 312, 330]),
    run('5', 'copyShards', 'b', [310, 320, 700]),
    run('6', 'commitReceipt', undefined, [720, 725, 800]),
    run('7', 'clearStaging', undefined, [810, 815, 900]),
  ],
};

const call = (activityId: string, fromMs: number, toMs: number, what: Call['what'] = 'request'): Call => ({
  ...{ workflowId: 'dump/acc/folder', service: 'BigQuery', activityId },
  ...{ what, fromMs, toMs },
});

test('the critical path leads through the table that was ready last', () => {
  expect(criticalPath(timeline).map(({ activityId }) => activityId)).toEqual(['1', '3', '5', '6', '7']);
});

test('overhead is what is left of the wall time without the services of the critical path', () => {
  const calls = [
    call('1', 20, 40),
    // The other table's: not on the path.
    call('2', 70, 290),
    call('3', 70, 80),
    call('3', 80, 180, 'job'),
    // Asked while the job runs, which counts once, and after it.
    call('3', 130, 140),
    call('3', 200, 210),
    // Side by side: their time counts once.
    call('5', 330, 600),
    call('5', 400, 690),
    call('6', 730, 790),
    call('7', 820, 880),
  ];
  const overhead = overheadOf(timeline, calls);
  const serviceMs = 20 + 120 + 360 + 60 + 60;
  expect(overhead).toMatchObject({ wallMs: 1_000, serviceMs, overheadMs: 1_000 - serviceMs, receiptMs: 800 });
  const { polling, dispatch, workflowTasks, activities } = overhead.parts;
  expect(polling).toBe(20);
  expect(dispatch).toBe(5 + 4 + 10 + 5 + 5);
  // To assume, to extract b, to copy b, to commit, to clear, to the end.
  expect(workflowTasks).toBe(10 + 10 + 60 + 20 + 10 + 100);
  expect(polling + dispatch + workflowTasks + activities).toBe(overhead.overheadMs);
});

test('a job that is done at once is waited for until it is asked about', () => {
  const calls = [call('3', 70, 80), call('3', 75, 75, 'job'), call('3', 180, 190)];
  expect(overheadOf(timeline, calls).parts.polling).toBe(100);
});
