/** Small dumps, one after another, each laid beside what its services took. */
import { connect, customer, deliver } from './customers';
import { overheadOf, type Overhead } from './overhead';
import type { TemporalScene } from './scene';
import type { ServiceTimes } from './services';
import { timelineOf } from './timeline';

export interface SmallDumps {
  readonly overheads: readonly Overhead[];
  /** Of one dump, without long polls: what the worker asks of Temporal. */
  readonly requestsByOperation: Readonly<Record<string, number>>;
}

export async function measureSmallDumps(
  scene: TemporalScene,
  name: string,
  times: ServiceTimes,
  count: number,
  profileFolder: string | undefined,
): Promise<SmallDumps> {
  const services = { shardsPerTable: 1, times, notices: false, keepsCalls: true };
  return scene.withWorker(services, profileFolder, async (worker) => {
    const { client, destinations } = scene;
    const overheads: Overhead[] = [];
    let before = await worker.report();
    // The first warms up: the worker's code is compiled by it.
    for (let number = 0; number <= count; number++) {
      const accountId = customer(name, number);
      await connect(destinations, accountId);
      if (number === 1) before = await worker.report();
      const { workflowId } = await deliver(client, destinations, worker, accountId);
      const { events } = await client.workflow.getHandle(workflowId).fetchHistory();
      const { calls } = await worker.report(workflowId);
      if (number > 0) overheads.push(overheadOf(timelineOf(events ?? []), calls));
    }
    const after = await worker.report();
    return { overheads, requestsByOperation: perDump(before.requestsByOperation, after.requestsByOperation, count) };
  });
}

function perDump(
  before: Readonly<Record<string, number>>,
  after: Readonly<Record<string, number>>,
  dumps: number,
): Record<string, number> {
  return Object.fromEntries(
    Object.entries(after).map(([name, count]) => [name, (count - (before[name] ?? 0)) / dumps]),
  );
}
