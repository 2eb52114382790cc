/** Holds what was delivered against what was staged, byte by byte. A copy that is fast and wrong is worth nothing. */
import { open, readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { shardName } from '../../src/dump/keys';
import type { Case } from './cases';
import { customerBucket, gcsFolder, s3Folder } from './servers';
import { stagingBucket, stagingPrefixOf, tableOf } from './staged-data';

/** @throws Error if an object is missing, is too many, or differs from its source. */
export async function checkAndRemove(folder: string, what: Case, delivered: string): Promise<void> {
  const deliveredPath = path.join(s3Folder(folder), customerBucket, delivered);
  const stagedPath = path.join(gcsFolder(folder), stagingBucket, stagingPrefixOf(what));
  const names = Array.from({ length: what.shards }, (_, shard) => shardName(tableOf(what), shard));
  const found = await readdir(deliveredPath);
  if (found.toSorted().join() !== names.toSorted().join()) {
    throw new Error(`${delivered} holds ${found.length} objects, and not the ${names.length} that were staged.`);
  }
  for (const name of names) {
    if (!(await isSame(path.join(stagedPath, name), path.join(deliveredPath, name), what.shardBytes))) {
      throw new Error(`${delivered}/${name} differs from what was staged.`);
    }
  }
  await rm(deliveredPath, { recursive: true });
}

const pieceBytes = 8 * 1024 * 1024;

async function isSame(staged: string, delivered: string, sizeBytes: number): Promise<boolean> {
  const files = [await open(staged), await open(delivered)] as const;
  const pieces = [Buffer.allocUnsafe(pieceBytes), Buffer.allocUnsafe(pieceBytes)] as const;
  try {
    for (const file of files) if ((await file.stat()).size !== sizeBytes) return false;
    for (let at = 0; at < sizeBytes; at += pieceBytes) {
      const wanted = Math.min(pieceBytes, sizeBytes - at);
      for (const index of [0, 1] as const) await readFully(files[index], pieces[index], wanted, at);
      if (pieces[0].compare(pieces[1], 0, wanted, 0, wanted) !== 0) return false;
    }
    return true;
  } finally {
    for (const file of files) await file.close();
  }
}

async function readFully(
  file: Awaited<ReturnType<typeof open>>,
  into: Buffer,
  sizeBytes: number,
  at: number,
): Promise<void> {
  for (let read = 0; read < sizeBytes;) {
    const { bytesRead } = await file.read(into, read, sizeBytes - read, at + read);
    if (bytesRead === 0) throw new Error('A file ends before its size.');
    read += bytesRead;
  }
}
