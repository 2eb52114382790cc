/**
 * One worker process, made as the command `worker` makes it with `--copy-processes 0`, but for its services, which are in
 * memory. Tells its parent of receipts, and on request what it has done.
 */
import { DefaultLogger, NativeConnection, Runtime } from '@temporalio/worker';
import type { ActivityDeps } from '../../src/activities';
import { readTemporalConfig, readWorkerConfig } from '../../src/config';
import { ShardSlots } from '../../src/dump/shard-slots';
import { registerSearchAttributes } from '../../src/search-attributes';
import type { Webhook } from '../../src/stores/webhook';
import {
  createControlWorker,
  createCopyWorker,
  createExtractWorker,
  createNoticeWorker,
  runTogether,
  stoppable,
  stopSignal,
} from '../../src/workers';
import { Calls } from './calls';
import { MemoryCustomerBuckets, MemoryStagingBuckets, MemoryWarehouse } from './memory-stores';
import type { WorkerArguments, WorkerMessage, WorkerQuestion, WorkerReport } from './worker-messages';

async function main({ services, metricsAddress }: WorkerArguments): Promise<void> {
  Runtime.install({
    shutdownSignals: [],
    logger: new DefaultLogger('ERROR'),
    telemetryOptions: { metrics: { prometheus: { bindAddress: metricsAddress } } },
  });
  const config = readWorkerConfig();
  const { connectionOptions, namespace = 'default' } = readTemporalConfig();
  const connection = await NativeConnection.connect(connectionOptions);
  await registerSearchAttributes(connection, namespace);

  const calls = new Calls(services.keepsCalls);
  const staging = new MemoryStagingBuckets(services, calls);
  const customerBuckets = new MemoryCustomerBuckets(services, calls, ({ accountId, folder }, faults) => {
    if (folder !== undefined) tell({ kind: 'receipt', accountId, folder, faults });
  });
  let notices = 0;
  const webhook: Webhook | undefined = services.notices ? { post: async () => void (notices += 1) } : undefined;
  const deps: ActivityDeps = {
    warehouse: new MemoryWarehouse(staging, services, calls),
    staging,
    stagingBucketByLocation: config.stagingBucketByLocation,
    customerBuckets,
    shardSlots: new ShardSlots(config.shardsInFlight),
    webhook,
  };

  const report = async (workflowId: string): Promise<WorkerReport> => {
    const { user, system } = process.cpuUsage();
    return {
      cpuSeconds: (user + system) / 1e6,
      eventLoop: performance.eventLoopUtilization(),
      requestsByOperation: await requestsByOperation(metricsAddress),
      totalsByService: calls.totalsByService,
      lateReceipts: customerBuckets.lateReceipts,
      stagedFilesLeft: staging.count,
      notices,
      calls: calls.of(workflowId),
    };
  };
  process.on('message', ({ number, workflowId }: WorkerQuestion) => {
    report(workflowId).then(
      (answer) => tell({ kind: 'report', number, report: answer }),
      (error: unknown) => tell({ kind: 'failed', number, reason: String(error) }),
    );
  });

  const common = { connection, namespace };
  const workers = [
    await createControlWorker(common, config, deps),
    await createExtractWorker(common, deps),
    await createCopyWorker(common, config, deps),
    ...(webhook === undefined ? [] : [await createNoticeWorker(common, webhook)]),
  ];
  tell({ kind: 'ready' });
  try {
    await runTogether(workers.map(stoppable), stopSignal());
  } finally {
    await connection.close();
  }
}

function tell(message: WorkerMessage): void {
  process.send?.(message);
}

/** The SDK's own count of what it asked of Temporal (SDK metrics reference, `temporal_request` and `temporal_long_request`). */
async function requestsByOperation(metricsAddress: string): Promise<Record<string, number>> {
  const text = await (await fetch(`http://${metricsAddress}/metrics`)).text();
  const counts: Record<string, number> = {};
  for (const [, operation = '', count] of text.matchAll(
    /^temporal_(?:long_)?request\{[^}]*operation="(\w+)"[^}]*\} (\d+)$/gm,
  )) {
    counts[operation] = (counts[operation] ?? 0) + Number(count);
  }
  return counts;
}

main(JSON.parse(process.argv[2] ?? '') as WorkerArguments).catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
