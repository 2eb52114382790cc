/** The shards that are copied: random bytes, which nothing on the way can make smaller. */
import { randomFillSync } from 'node:crypto';
import http from 'node:http';
import { finished } from 'node:stream/promises';
import { parseTableName } from '../../src/dump/inputs';
import { shardName } from '../../src/dump/keys';
import type { Case } from './cases';

export const stagingBucket = 'bench-staging';
export const tableOf = ({ name }: Case) => parseTableName(name);
export const stagingPrefixOf = ({ name }: Case): string => `staged/${name}/`;

const pieceBytes = 16 * 1024 * 1024;

/** Uploads every shard of every case. No two shards are alike, so that none can be taken for another. */
export async function stageShards(storageUrl: string, cases: readonly Case[]): Promise<void> {
  await post(`${storageUrl}/storage/v1/b?project=bench`, 'application/json', [
    Buffer.from(JSON.stringify({ name: stagingBucket })),
  ]);
  const piece = randomFillSync(Buffer.allocUnsafe(pieceBytes));
  for (const each of cases) {
    for (let shard = 0; shard < each.shards; shard += 1) {
      const name = encodeURIComponent(`${stagingPrefixOf(each)}${shardName(tableOf(each), shard)}`);
      const url = `${storageUrl}/upload/storage/v1/b/${stagingBucket}/o?uploadType=media&name=${name}`;
      await post(url, 'application/gzip', pieces(piece, each.shardBytes));
    }
  }
}

/** The same random piece again and again, each time with other bytes at its head. */
function* pieces(piece: Buffer, sizeBytes: number): Generator<Buffer> {
  for (let left = sizeBytes; left > 0; left -= pieceBytes) {
    randomFillSync(piece, 0, Math.min(64, left));
    yield Buffer.from(piece.subarray(0, Math.min(left, pieceBytes)));
  }
}

async function post(url: string, contentType: string, body: Iterable<Buffer>): Promise<void> {
  const request = http.request(url, { method: 'POST', headers: { 'content-type': contentType } });
  const answered = new Promise<http.IncomingMessage>((resolve, reject) => {
    request.once('response', resolve).once('error', reject);
  });
  for (const each of body) {
    if (!request.write(each)) await new Promise((resolve) => request.once('drain', resolve));
  }
  request.end();
  const answer = await answered;
  answer.resume();
  await finished(answer);
  if (answer.statusCode !== 200) throw new Error(`Cloud Storage's stand-in answered ${answer.statusCode} to ${url}`);
}
