/** What is copied: many small shards, normal ones, and one as large as BigQuery makes them. */
export interface Case {
  readonly name: 'normal' | 'small' | 'giant';
  readonly shards: number;
  readonly shardBytes: number;
  readonly rounds: number;
  /** rclone's `--transfers`, as a user would set it for such files. */
  readonly rcloneTransfers: number;
}

const kiB = 1024;
const miB = 1024 * kiB;

export const fullCases: readonly Case[] = [
  { name: 'normal', shards: 32, shardBytes: 128 * miB, rounds: 3, rcloneTransfers: 4 },
  { name: 'small', shards: 2000, shardBytes: 256 * kiB, rounds: 3, rcloneTransfers: 16 },
  { name: 'giant', shards: 1, shardBytes: 4_900_000_000, rounds: 2, rcloneTransfers: 4 },
];

export const quickCases: readonly Case[] = [
  { name: 'normal', shards: 8, shardBytes: 64 * miB, rounds: 1, rcloneTransfers: 4 },
  { name: 'small', shards: 500, shardBytes: 256 * kiB, rounds: 1, rcloneTransfers: 16 },
  { name: 'giant', shards: 1, shardBytes: 512 * miB, rounds: 1, rcloneTransfers: 4 },
];

export const caseBytes = ({ shards, shardBytes }: Case): number => shards * shardBytes;
