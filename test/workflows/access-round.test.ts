import type { WorkflowHandle } from '@temporalio/client';
import type { Activities } from '../../src/activities';
import { taskQueues } from '../../src/contract';
import { accessRoundGiveUpMs } from '../../src/timing';
import type { accessRound } from '../../src/workflows';
import { scripted, WorkflowTestEnvironment } from './environment';

let environment: WorkflowTestEnvironment;
beforeAll(async () => {
  environment = await WorkflowTestEnvironment.start();
});
afterAll(() => environment.stop());

const withRound = (
  askForChecks: Activities['askForChecks'],
  use: (round: WorkflowHandle<typeof accessRound>) => Promise<void>,
): Promise<void> =>
  environment.withWorker(scripted({ askForChecks }).activities, async () => {
    const options = { taskQueue: taskQueues.control, workflowId: `round-${Math.random()}` };
    await use(await environment.client.workflow.start<typeof accessRound>('accessRound', options));
  });

test('a round asks all destinations, and says how many there were', () =>
  withRound(
    async () => 1234,
    async (round) => expect(await round.result()).toEqual({ asked: 1234 }),
  ));

test('a round that cannot be finished ends before the next day’s, and says why', () =>
  withRound(
    async () => {
      throw new Error('the namespace is not available');
    },
    async (round) => {
      await expect(round.result()).rejects.toMatchObject({
        cause: { message: expect.stringContaining('the namespace is not available') as string },
      });
      const { startTime, closeTime } = await round.describe();
      expect(Number(closeTime) - Number(startTime)).toBeLessThanOrEqual(accessRoundGiveUpMs + 1000);
    },
  ));
