/** The bench's customers, each with a role and a bucket of its own, and one dump of a customer from its run to its end. */
import type { Client } from '@temporalio/client';
import type { Destinations } from '../../src/client/destinations';
import { dumpWorkflowId, type AccountId, type DumpOutcome } from '../../src/contract';
import { parseAccountId } from '../../src/dump/inputs';
import type { dump } from '../../src/workflows';
import type { WorkerProcess } from './scene';
import type { ReceiptPut } from './worker-messages';

export const customer = (part: string, number: number): AccountId => parseAccountId(`acc_${part}_${number}`);

export const connect = (destinations: Destinations, accountId: AccountId): Promise<unknown> =>
  destinations.connect(accountId, {
    roleArn: 'arn:aws:iam::111122223333:role/bench',
    bucket: accountId.replaceAll('_', '-'),
  });

export const announceRun = (destinations: Destinations, accountId: AccountId): Promise<void> =>
  destinations.modellingRunSucceeded(accountId, {
    runId: `run-of-${accountId}`,
    finishedAt: new Date(),
    dataset: 'bench-project.data_platform',
  });

export interface DeliveredDump {
  readonly workflowId: string;
  readonly outcome: DumpOutcome;
}

/** @throws Error where a receipt speaks of what is not in the bucket */
export async function deliver(
  client: Client,
  destinations: Destinations,
  worker: WorkerProcess,
  accountId: AccountId,
): Promise<DeliveredDump> {
  const { promise, resolve } = Promise.withResolvers<ReceiptPut>();
  const deafen = worker.onReceipt((put) => {
    if (put.accountId === accountId) resolve(put);
  });
  try {
    await announceRun(destinations, accountId);
    const receipt = await Promise.race([promise, worker.orItsEnd()]);
    requireTrue(receipt);
    const workflowId = dumpWorkflowId(accountId, receipt.folder);
    return { workflowId, outcome: await client.workflow.getHandle<typeof dump>(workflowId).result() };
  } finally {
    deafen();
  }
}

export function requireTrue({ accountId, folder, faults }: ReceiptPut): void {
  if (faults.length > 0) throw new Error(`The receipt of ${accountId} for ${folder} is not true: ${faults.join(' ')}`);
}
