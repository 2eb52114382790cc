import { setTimeout } from 'node:timers/promises';
import { activityInfo, heartbeat } from '@temporalio/activity';
import type { Copied, CopyProgress, DestinationSettings, ShardRange, StagedTable, TableName } from '../contract';
import { shardKey, shardName } from '../dump/keys';
import { inLanes } from '../dump/lanes';
import { isSlowDown, type ShardSlots, type ShardTurns } from '../dump/shard-slots';
import { stagingFailure, withCopyProgress } from '../failures';
import type { CustomerBuckets, StreamedBody } from '../stores/customer-bucket';
import type { StagingBuckets } from '../stores/staging-bucket';
import { slowDownRetryMs } from '../timing';
import { heartbeating } from './heartbeat';
import { callingDump, deliveryTo } from './identity';

export interface CopyShardsInput {
  readonly settings: DestinationSettings;
  readonly table: TableName;
  readonly staged: StagedTable;
  readonly range: ShardRange;
  /** Shards of the range that an activity before this one delivered. */
  readonly doneShards: readonly number[];
  /** Of these shards. Dumps that began before it was told count none. */
  readonly doneBytes?: number;
}

export interface CopyShardsDeps {
  readonly staging: StagingBuckets;
  readonly customerBuckets: CustomerBuckets;
  /** Shared by all activities of the process. */
  readonly shardSlots: ShardSlots;
}

/**
 * Streams a range of a table's shards from staging into the customer's bucket, byte for byte. Each shard is one PutObject
 * with the length and CRC32C that Cloud Storage knows, so that S3 refuses a damaged one. Shards that an attempt before
 * this one delivered are skipped; putting one again, where its heartbeat was lost, puts the same bytes.
 */
export const createCopyShards = ({ staging, customerBuckets, shardSlots }: CopyShardsDeps) =>
  async function copyShards(input: CopyShardsInput): Promise<Copied> {
    const { settings, table, staged, range } = input;
    const { folder } = callingDump();
    const customerBucket = customerBuckets.open(deliveryTo(settings));
    const lastBeat = activityInfo().heartbeatDetails as CopyProgress | undefined;
    const doneShards = new Set([...input.doneShards, ...(lastBeat?.doneShards ?? [])]);
    let doneBytes = lastBeat?.doneBytes ?? input.doneBytes ?? 0;
    const progress = (): CopyProgress => ({ table, doneShards: [...doneShards], doneBytes });

    return heartbeating(progress, async (signal) => {
      try {
        await shardSlots.sharing(settings.bucket, (turns) =>
          inLanes(remainingShards(), shardSlots.count, async (shard) => {
            const sizeBytes = await inTurns(turns, signal, () => copyShard(shard, signal));
            doneShards.add(shard);
            doneBytes += sizeBytes;
            // The last one is told by the activity's end.
            if (doneShards.size < range.count) heartbeat(progress());
          }),
        );
        return { shards: range.count, bytes: doneBytes };
      } catch (error) {
        throw withCopyProgress(error, progress());
      }
    });

    function remainingShards(): number[] {
      const shards = Array.from({ length: range.count }, (_, index) => range.first + index);
      return shards.filter((shard) => !doneShards.has(shard));
    }

    /** Where a store asks for a slower pace, the shard waits and takes another turn; after that it is Temporal's to retry. */
    async function inTurns<T>(turns: ShardTurns, signal: AbortSignal, copy: () => Promise<T>): Promise<T> {
      const usualBytes = staged.sizeBytes / staged.shardCount;
      for (const waitMs of slowDownRetryMs) {
        try {
          return await turns.take(usualBytes, signal, copy);
        } catch (error) {
          if (!isSlowDown(error)) throw error;
          await setTimeout(waitMs, undefined, { signal });
        }
      }
      return turns.take(usualBytes, signal, copy);
    }

    /** Returns its bytes. */
    async function copyShard(shard: number, signal: AbortSignal): Promise<number> {
      const { stagingBucket, stagingPrefix } = staged;
      const name = `${stagingPrefix}${shardName(table, shard)}`;
      let sizeBytes = 0;
      const body: StreamedBody = {
        open: async () => {
          const source = await staging.open(stagingBucket, name, signal);
          sizeBytes = source.sizeBytes;
          return source;
        },
        readFailure: (error) => stagingFailure(error, stagingBucket, name),
      };
      const key = shardKey(settings, folder, table, shard);
      await customerBucket.put({ key, contentType: 'application/gzip', body }, signal);
      return sizeBytes;
    }
  };
