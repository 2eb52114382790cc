import { setTimeout } from 'node:timers/promises';
import { activityInfo, heartbeat } from '@temporalio/activity';
import type { Copied, CopyProgress, DestinationSettings, ShardRange, StagedTable, TableName } from '../contract';
import { shardKey, shardName } from '../dump/keys';
import { inLanes } from '../dump/lanes';
import { isSlowDown, type ShardSlots, type ShardTurns } from '../dump/shard-slots';
import { failure, stagingFailure, stagingFilesGone, withCopyProgress } from '../failures';
import type { CustomerBuckets } from '../stores/customer-bucket';
import type { StagedFile, StagingBuckets } from '../stores/staging-bucket';
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
}

export interface CopyShardsDeps {
  readonly staging: StagingBuckets;
  readonly customerBuckets: CustomerBuckets;
  /** Shared by all activities of the process. */
  readonly shardSlots: ShardSlots;
}

/** S3 user guide, "Uploading objects": the most that a single PutObject takes. */
const putObjectBytesMax = 5 * 1024 ** 3;

/**
 * Streams a range of a table's shards from staging into the customer's bucket, byte for byte. Each shard is one PutObject
 * with the length and CRC32C that Cloud Storage knows, so that S3 refuses a damaged one. Shards that an attempt before
 * this one delivered are skipped; putting one again, where its heartbeat was lost, puts the same bytes.
 */
export const createCopyShards = ({ staging, customerBuckets, shardSlots }: CopyShardsDeps) =>
  async function copyShards({ settings, table, staged, range, doneShards: before }: CopyShardsInput): Promise<Copied> {
    const { folder } = callingDump();
    const customerBucket = customerBuckets.open(deliveryTo(settings));
    const lastBeat = activityInfo().heartbeatDetails as CopyProgress | undefined;
    const doneShards = new Set([...before, ...(lastBeat?.doneShards ?? [])]);
    let doneBytes = 0;
    const progress = (): CopyProgress => ({ table, doneShards: [...doneShards], doneBytes });

    return heartbeating(progress, async (signal) => {
      try {
        const shards = await stagedShards();
        doneBytes = shards.reduce((sum, [shard, file]) => sum + (doneShards.has(shard) ? file.sizeBytes : 0), 0);
        const remaining = shards.filter(([shard]) => !doneShards.has(shard));
        await shardSlots.sharing(settings.bucket, (turns) =>
          inLanes(remaining, shardSlots.count, async ([shard, file]) => {
            await atItsPace(turns, file, signal, () => copyShard(shard, file, signal));
            doneShards.add(shard);
            doneBytes += file.sizeBytes;
            heartbeat(progress());
          }),
        );
        return { shards: range.count, bytes: doneBytes };
      } catch (error) {
        throw withCopyProgress(error, progress());
      }
    });

    /** The range's files by shard number, all of them: a missing one would make the receipt's count a lie. */
    async function stagedShards(): Promise<[number, StagedFile][]> {
      const { stagingBucket, stagingPrefix } = staged;
      const nameOf = (shard: number): string => `${stagingPrefix}${shardName(table, shard)}`;
      const between = { from: nameOf(range.first), before: nameOf(range.first + range.count) };
      const files = await staging.list(stagingBucket, stagingPrefix, between);
      const byName = new Map(files.map((file) => [file.name, file]));
      return Array.from({ length: range.count }, (_, index) => {
        const shard = range.first + index;
        const file = byName.get(nameOf(shard));
        if (file === undefined) throw stagingFilesGone(stagingBucket, nameOf(shard));
        return [shard, file];
      });
    }

    /** Where a store asks for a slower pace, the shard waits and takes another turn; after that it is Temporal's to retry. */
    async function atItsPace(
      turns: ShardTurns,
      { sizeBytes }: StagedFile,
      signal: AbortSignal,
      copy: () => Promise<void>,
    ): Promise<void> {
      for (const waitMs of slowDownRetryMs) {
        try {
          return await turns.take(sizeBytes, signal, copy);
        } catch (error) {
          if (!isSlowDown(error)) throw error;
          await setTimeout(waitMs, undefined, { signal });
        }
      }
      await turns.take(sizeBytes, signal, copy);
    }

    async function copyShard(shard: number, file: StagedFile, signal: AbortSignal): Promise<void> {
      const key = shardKey(settings, folder, table, shard);
      if (file.sizeBytes > putObjectBytesMax) {
        throw failure(
          'ShardTooLarge',
          `A shard has ${file.sizeBytes} bytes and one PutObject takes ${putObjectBytesMax} [name=${file.name}].`,
          'shorten the rows of the table: BigQuery writes at most 1 GB of table data to a shard.',
        );
      }
      const body = {
        open: () => staging.open(staged.stagingBucket, file),
        readFailure: (error: unknown) => stagingFailure(error, staged.stagingBucket, file.name),
        sizeBytes: file.sizeBytes,
        crc32c: file.crc32c,
      };
      await customerBucket.put({ key, contentType: 'application/gzip', body }, signal);
    }
  };
