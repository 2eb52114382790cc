import { createNoticesAreOn, createSendNotice } from '../../src/activities/send-notice';
import type { AccountId, Notice } from '../../src/contract';
import type { SentNotice, Webhook } from '../../src/stores/webhook';
import { dumpEnvironment } from '../fakes';

const told: Notice = {
  type: 'dump.recovered',
  timestamp: '2023-01-02T15:10:00.000Z',
  data: {
    account: 'acc_7Hq2' as AccountId,
    folder: '2023-01-02T15:04',
    run: { runId: 'run-1', finishedAt: '2023-01-02T15:00:00.000Z', dataset: 'p.d' },
  },
};

class FakeWebhook implements Webhook {
  readonly posted: SentNotice[] = [];
  async post(notice: SentNotice): Promise<void> {
    this.posted.push(notice);
  }
}

test('a notice is posted by the id of its workflow, the same on every attempt', async () => {
  const webhook = new FakeWebhook();
  const workflowExecution = { workflowId: 'notice/acc_7Hq2/2023-01-02T15:04/3', runId: 'test' };
  for (const attempt of [1, 2]) {
    await dumpEnvironment({ workflowExecution, attempt }).run(createSendNotice({ webhook }), told);
  }
  const posted = { id: 'notice/acc_7Hq2/2023-01-02T15:04/3', ...told };
  expect(webhook.posted).toEqual([posted, posted]);
});

test.each([
  [new FakeWebhook(), true],
  [undefined, false],
])('notices are on where a receiver is set: %#', async (webhook, areOn) => {
  expect(await dumpEnvironment().run(createNoticesAreOn({ webhook }))).toBe(areOn);
});
