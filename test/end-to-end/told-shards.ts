/** What Temporal knows of a dump's copies. */
import type { Client } from '@temporalio/client';
import { decodeArrayFromPayloads } from '@temporalio/common/lib/internal-non-workflow';
import type { CopyShardsInput } from '../../src/activities/copy-shards';
import type { CopyProgress, TableName } from '../../src/contract';
import { shardName } from '../../src/dump/keys';
import type { Asked } from './fault-proxy';

interface Scheduled {
  readonly copy: CopyShardsInput;
  isCompleted: boolean;
}

/**
 * The names of the shards that are done by what Temporal has been told, in the history and by heartbeats: an attempt that
 * begins after it puts none of them again.
 */
export async function toldShards(client: Client, workflowId: string): Promise<Set<string>> {
  const handle = client.workflow.getHandle(workflowId);
  const { events } = await handle.fetchHistory();
  const scheduled = new Map<string, Scheduled>();
  const { loadedDataConverter: converter } = client.options;
  for (const event of events ?? []) {
    const { input, activityType } = event.activityTaskScheduledEventAttributes ?? {};
    if (activityType?.name === 'copyShards') {
      const [copy] = (await decodeArrayFromPayloads(converter, input?.payloads)) as [CopyShardsInput];
      scheduled.set(String(event.eventId), { copy, isCompleted: false });
    }
    const completed = scheduled.get(String(event.activityTaskCompletedEventAttributes?.scheduledEventId));
    if (completed !== undefined) completed.isCompleted = true;
  }
  const told = [...scheduled.values()].flatMap(({ copy, isCompleted }) => {
    const { table, range, doneShards } = copy;
    const all = Array.from({ length: range.count }, (_, index) => range.first + index);
    return namesOf(table, isCompleted ? all : doneShards);
  });
  const { raw } = await handle.describe();
  for (const { activityType, heartbeatDetails } of raw.pendingActivities ?? []) {
    if (activityType?.name !== 'copyShards' || !heartbeatDetails?.payloads) continue;
    const [beat] = (await decodeArrayFromPayloads(converter, heartbeatDetails.payloads)) as [CopyProgress];
    told.push(...namesOf(beat.table, beat.doneShards));
  }
  return new Set(told);
}

const namesOf = (table: TableName, shards: readonly number[]): string[] =>
  shards.map((shard) => shardName(table, shard));

const shardPutBy = ({ method, path }: Asked): string | undefined =>
  method === 'PUT' ? /\/(\w+\.ndjson\.gz)(\?|$)/.exec(path)?.[1] : undefined;

export const shardsPutBy = (requests: readonly Asked[]): string[] =>
  requests.flatMap((asked) => shardPutBy(asked) ?? []);

/** The shards that are there more than once. */
export const repeated = (shards: readonly string[]): string[] =>
  shards.filter((shard, index) => shards.indexOf(shard) !== index);
