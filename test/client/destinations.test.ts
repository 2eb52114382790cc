import type { Client } from '@temporalio/client';
import { defaultPayloadConverter } from '@temporalio/common';
import { Destinations } from '../../src/client/destinations';
import type { CopyProgress, DestinationStatus, DumpStatus } from '../../src/contract';
import { parseTableName } from '../../src/dump/inputs';

const table = parseTableName('companies');
const dumpId = 'dump/acc_7Hq2/2023-01-02T15:04';

/** A dump of 20 shards, a range of which is under way: its workflow counts it when it is done, its heartbeats until then. */
class CopyingDump {
  private rangeIsDone = false;

  get asClient(): Client {
    const handles: Record<string, unknown> = {
      'destination/acc_7Hq2': { query: async () => ({ currentDump: { workflowId: dumpId } }) as DestinationStatus },
      [dumpId]: { query: () => this.query(), describe: () => this.describe() },
    };
    return {
      options: { loadedDataConverter: { payloadConverter: defaultPayloadConverter, payloadCodecs: [] } },
      workflow: { getHandle: (id: string) => handles[id] },
      withDeadline: (_deadline: number, ask: () => Promise<unknown>) => ask(),
    } as unknown as Client;
  }

  /** The range ends while the question is on its way. */
  private async query(): Promise<DumpStatus> {
    await new Promise((resolve) => setImmediate(resolve));
    this.rangeIsDone = true;
    const copied = { shards: 16, bytes: 1600 };
    const copying = { state: 'copying', copied, total: { shards: 20, bytes: 2000 }, since: { ...copied, atMs: 0 } };
    return { state: 'Running', tables: { [table]: copying } } as unknown as DumpStatus;
  }

  private async describe(): Promise<unknown> {
    const beat: CopyProgress = { table, doneShards: [8, 9, 10, 11, 12, 13, 14, 15], doneBytes: 800 };
    const pending = {
      activityType: { name: 'copyShards' },
      heartbeatDetails: { payloads: [defaultPayloadConverter.toPayload(beat)] },
    };
    return { raw: { pendingActivities: this.rangeIsDone ? [] : [pending] } };
  }
}

test('a range that ends while the status is read is not counted twice: progress never runs ahead', async () => {
  const { dump } = await new Destinations(new CopyingDump().asClient).status('acc_7Hq2');
  expect(dump?.tables[table]).toMatchObject({ copied: { shards: 16, bytes: 1600 } });
});
