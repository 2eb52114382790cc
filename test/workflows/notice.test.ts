/** A notice by itself, on the time-skipping server: it is sent for a day. */
import { WorkflowFailedError, type WorkflowHandle } from '@temporalio/client';
import type { Activities } from '../../src/activities';
import { noticeWorkflowId, taskQueues, type FolderName, type Notice } from '../../src/contract';
import { parseModellingRun } from '../../src/dump/inputs';
import { noticeRefused } from '../../src/failures';
import { noticeGiveUpMs } from '../../src/timing';
import type { notice } from '../../src/workflows';
import { newAccount, run, scripted, WorkflowTestEnvironment } from './environment';

let environment: WorkflowTestEnvironment;
beforeAll(async () => {
  environment = await WorkflowTestEnvironment.start();
});
afterAll(() => environment.stop());

const folder = '2023-01-02T15:04' as FolderName;
const timestamp = '2023-01-02T15:04:05.678Z';
const refusal = (status: number) => noticeRefused(new URL('https://receiver.example/hook?key=secret'), status);

function startNotice(): Promise<WorkflowHandle<typeof notice>> {
  const account = newAccount();
  const recovered: Notice = {
    type: 'dump.recovered',
    timestamp,
    data: { account, folder, run: parseModellingRun(run('run-1', timestamp), Date.now()) },
  };
  return environment.client.workflow.start<typeof notice>('notice', {
    taskQueue: taskQueues.control,
    workflowId: noticeWorkflowId(account, folder, 1),
    args: [recovered],
  });
}

const withReceiver = (sendNotice: Activities['sendNotice'], test: () => Promise<void>): Promise<void> =>
  environment.withWorker(scripted({ sendNotice }).activities, test);

test('a notice is sent again until it is taken', async () => {
  let attempts = 0;
  const takesTheFourth = async (): Promise<void> => {
    attempts += 1;
    if (attempts < 4) throw refusal(404);
  };
  await withReceiver(takesTheFourth, async () => {
    await (await startNotice()).result();
  });
  expect(attempts).toBe(4);
});

test('a notice that is never taken is given up after a day, with a sentence', async () => {
  const takesNothing = (): Promise<void> => Promise.reject(refusal(500));
  await withReceiver(takesNothing, async () => {
    const handle = await startNotice();
    const failure = await handle.result().catch((error: unknown) => error);
    if (!(failure instanceof WorkflowFailedError)) throw failure;
    expect(failure.cause?.message).toBe(
      'The receiver did not take this notice within 24 hours, it is given up: The receiver of notices at https://receiver.example answered 500 instead of 2xx',
    );
    const { startTime, closeTime } = await handle.describe();
    const tookMs = Number(closeTime) - Number(startTime);
    expect(tookMs).toBeLessThanOrEqual(noticeGiveUpMs + 1000);
    expect(tookMs).toBeGreaterThan(noticeGiveUpMs - 120_000);
  });
});
