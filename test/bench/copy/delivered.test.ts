import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { Case } from '../../../bench/copy/cases';
import { checkAndRemove } from '../../../bench/copy/delivered';
import { customerBucket, gcsFolder, s3Folder } from '../../../bench/copy/servers';
import { stagingBucket, stagingPrefixOf, tableOf } from '../../../bench/copy/staged-data';
import { shardName } from '../../../src/dump/keys';

/** Two of the pieces that are compared at a time, the second of one byte. */
const shardBytes = 8 * 1024 ** 2 + 1;
const what: Case = { name: 'small', shards: 2, shardBytes, rounds: 1, rcloneTransfers: 1 };
const delivered = 'ours/1';

let folder: string;
let deliveredPath: string;
let shards: readonly { readonly file: string; readonly bytes: Buffer }[];

beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'delivered-'));
  deliveredPath = path.join(s3Folder(folder), customerBucket, delivered);
  const stagedPath = path.join(gcsFolder(folder), stagingBucket, stagingPrefixOf(what));
  for (const each of [deliveredPath, stagedPath]) await mkdir(each, { recursive: true });
  shards = [0, 1].map((shard) => ({ file: shardName(tableOf(what), shard), bytes: randomBytes(shardBytes) }));
  for (const { file, bytes } of shards) {
    await writeFile(path.join(stagedPath, file), bytes);
    await writeFile(path.join(deliveredPath, file), bytes);
  }
});
afterEach(() => rm(folder, { recursive: true }));

const last = () => {
  const { file = '', bytes = Buffer.alloc(0) } = shards.at(-1) ?? {};
  return { file: path.join(deliveredPath, file), bytes };
};

test('what equals its source passes, and makes room', async () => {
  await expect(checkAndRemove(folder, what, delivered)).resolves.toBeUndefined();
  expect(existsSync(deliveredPath)).toBe(false);
});

/** What is said of it; it stays, to be looked at. */
async function refusal(): Promise<string> {
  const error = await checkAndRemove(folder, what, delivered).catch((thrown: unknown) => thrown);
  expect(existsSync(deliveredPath)).toBe(true);
  return String(error);
}

test('an object that is missing, and one too many, are found', async () => {
  await writeFile(path.join(deliveredPath, 'one-more'), '');
  expect(await refusal()).toContain('ours/1 holds 3 objects, and not the 2 that were staged.');
  await rm(path.join(deliveredPath, 'one-more'));
  await rm(last().file);
  expect(await refusal()).toContain('ours/1 holds 1 objects, and not the 2 that were staged.');
});

test('an object of another name is found', async () => {
  await rm(last().file);
  await writeFile(path.join(deliveredPath, 'another'), last().bytes);
  expect(await refusal()).toContain('ours/1 holds 2 objects, and not the 2 that were staged.');
});

test.each([0, 5_000_000, shardBytes - 1])('one byte that differs is found, at %i', async (at) => {
  const { file, bytes } = last();
  bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
  await writeFile(file, bytes);
  expect(await refusal()).toContain(`${path.basename(file)} differs from what was staged.`);
});

test('an object that is shorter, and one that is longer, are found', async () => {
  const { file, bytes } = last();
  await writeFile(file, bytes.subarray(0, -1));
  expect(await refusal()).toContain(`${path.basename(file)} differs from what was staged.`);
  await writeFile(file, Buffer.concat([bytes, Buffer.from('x')]));
  expect(await refusal()).toContain(`${path.basename(file)} differs from what was staged.`);
});
