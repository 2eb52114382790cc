/** The histories that a dump makes: its own, its destination's, its notice's. */
import type { Client } from '@temporalio/client';
import { destinationWorkflowId, identityOfDump, noticeWorkflowId } from '../../src/contract';
import { defaultTables } from '../../src/dump/inputs';
import { connect, customer, deliver } from './customers';
import { sizeOfHistory, type HistorySize } from './history-size';
import type { TemporalScene } from './scene';
import { atOnce } from './services';

export interface MeasuredHistory extends HistorySize {
  /** What Temporal says, `history_size_bytes`. */
  readonly saidBytes: number;
}

export interface HistoriesOfDump {
  readonly shardsPerTable: number;
  readonly seconds: number;
  readonly dump: MeasuredHistory;
  readonly destination: MeasuredHistory;
  readonly notice: MeasuredHistory;
}

export async function measureHistories(
  scene: TemporalScene,
  shardsPerTable: number,
  profileFolder: string | undefined,
): Promise<HistoriesOfDump> {
  const services = { shardsPerTable, times: atOnce, notices: true, keepsCalls: false };
  return scene.withWorker(services, profileFolder, async (worker) => {
    const { client, destinations } = scene;
    const accountId = customer('history', shardsPerTable);
    await connect(destinations, accountId);
    const beganMs = performance.now();
    const { workflowId, outcome } = await deliver(client, destinations, worker, accountId);
    const seconds = (performance.now() - beganMs) / 1000;
    if (outcome.outcome !== 'delivered' || outcome.total.shards !== defaultTables.length * shardsPerTable) {
      throw new Error(`The dump says ${JSON.stringify(outcome)}.`);
    }
    const noticeId = noticeWorkflowId(accountId, identityOfDump(workflowId).folder, 1);
    await client.workflow.getHandle(noticeId).result();
    return {
      shardsPerTable,
      seconds,
      dump: await measure(client, workflowId),
      destination: await measure(client, destinationWorkflowId(accountId)),
      notice: await measure(client, noticeId),
    };
  });
}

/** @throws Error where Temporal says another number of events than there are */
async function measure(client: Client, workflowId: string): Promise<MeasuredHistory> {
  const handle = client.workflow.getHandle(workflowId);
  const [{ historyLength, historySize = NaN }, { events }] = await Promise.all([
    handle.describe(),
    handle.fetchHistory(),
  ]);
  const size = sizeOfHistory(events ?? []);
  if (size.events !== historyLength) {
    throw new Error(`Temporal says that ${workflowId} has ${historyLength} events, and there are ${size.events}.`);
  }
  return { ...size, saidBytes: historySize };
}
