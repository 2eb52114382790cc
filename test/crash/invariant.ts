/**
 * What must hold of a customer's bucket whatever happened, computed from what is in it and from what passed the proxies:
 * with none of the program's code.
 */
import { isDeepStrictEqual } from 'node:util';
import { compareRows, keysIn, readJson, type GuideReceipt } from '../end-to-end/delivered';
import { datasetId } from '../end-to-end/environment';
import type { Recorded } from '../end-to-end/fault-proxy';
import type { Fault } from './fault';
import { tables, type Scene } from './scene';
import { jobInsertion, pathOf, receiptPut, schemaPut, shardPut, type Matches } from './traffic';

export interface Findings {
  /** What does not hold, in sentences. */
  readonly broken: readonly string[];
  readonly shards: number;
  readonly shardsPutAgain: number;
}

interface Committed {
  readonly receipt: GuideReceipt;
  readonly put: Recorded;
}

export async function checkInvariant(scene: Scene, fault: Fault): Promise<Findings> {
  const stored = (matches: Matches): Recorded[] =>
    scene.proxies.aws.recorded.filter((recorded) => recorded.status === 200 && matches(recorded));
  const shards = stored(shardPut(scene));
  const files = [...shards, ...stored(schemaPut(scene))];
  const receipts = stored(receiptPut(scene));
  const committed = receipts.map((put): Committed => ({ put, receipt: JSON.parse(put.body) as GuideReceipt }));
  const shardsPutAgain = shards.length - new Set(shards.map(pathOf)).size;
  const broken = [
    ...checkReceipts(committed, fault),
    ...committed.flatMap((one) => checkStoredBefore(one, files, scene)),
    ...checkExtractions(scene, shards),
    ...(await checkBucket(scene, committed)),
    ...((await staged(scene)).length === 0 ? [] : [`staging is not empty: ${(await staged(scene)).join(', ')}`]),
  ];
  const againMax = fault.shardsPutAgainMax ?? scene.shardsHit;
  if (shardsPutAgain > againMax) broken.push(`${shardsPutAgain} shards were put again, and not ${againMax} at most`);
  return { broken, shards: new Set(shards.map(pathOf)).size, shardsPutAgain };
}

const staged = async (scene: Scene): Promise<string[]> =>
  (await scene.endToEnd.sandbox.staged()).filter((name) => name.startsWith(`${scene.account}/`));

/** One receipt per delivered dump, and only forward in time. */
function checkReceipts(committed: readonly Committed[], { delivers = 1, repeatsReceipt = false }: Fault): string[] {
  const broken: string[] = [];
  const different = new Set(committed.map(({ put }) => put.body));
  if (different.size !== delivers) broken.push(`${different.size} receipts were written, not ${delivers}`);
  if (!repeatsReceipt && committed.length > different.size) broken.push('a receipt was put again');
  const folders = new Set(committed.map(({ receipt }) => Object.values(receipt.tables)[0]?.folder));
  if (folders.size !== different.size) broken.push('one dump has several receipts');
  for (const [index, { receipt }] of committed.entries()) {
    const previous = committed[index - 1]?.receipt.timestamp ?? '';
    if (receipt.timestamp < previous) broken.push(`the receipt of ${receipt.timestamp} came after that of ${previous}`);
  }
  return broken;
}

/** When a receipt's put began, every file that it speaks of was stored. */
function checkStoredBefore({ receipt, put }: Committed, files: readonly Recorded[], { bucket }: Scene): string[] {
  const before = new Set(files.filter(({ endedAtMs }) => endedAtMs <= put.beganAtMs).map(pathOf));
  return Object.entries(receipt.tables).flatMap(([table, { folder, total_file_count, schemas }]) => {
    const there = [...before].filter((path) => path.startsWith(`/${bucket}/${folder}/`)).length;
    const broken = there === total_file_count ? [] : [`${there} of ${total_file_count} shards of ${table} were stored`];
    return before.has(`/${bucket}/${schemas.bigquery}`) ? broken : [...broken, `the schema of ${table} was not stored`];
  });
}

interface Insertion {
  readonly configuration: { readonly extract: { readonly destinationUris: readonly string[] } };
}

/** No table is extracted again once the customer has a shard of it. */
function checkExtractions(scene: Scene, shards: readonly Recorded[]): string[] {
  const insertions = scene.proxies.bigquery.recorded.filter(
    (asked) => asked.status === 200 && jobInsertion(scene)(asked),
  );
  return insertions.flatMap(({ body, endedAtMs }) => {
    const [uri = ''] = (JSON.parse(body) as Insertion).configuration.extract.destinationUris;
    const [, , , , folder = '', table = ''] = uri.split('/');
    const delivered = shards.find((put) => pathOf(put).startsWith(`/${scene.bucket}/${folder}/${table}/`));
    return delivered === undefined || delivered.endedAtMs > endedAtMs
      ? []
      : [`${table} was extracted again after its first shard was delivered`];
  });
}

const bigqueryTable = ({ endToEnd }: Scene, table: string) => endToEnd.sandbox.bigquery.dataset(datasetId).table(table);

/** What the customer finds. */
async function checkBucket(scene: Scene, committed: readonly Committed[]): Promise<string[]> {
  const { customer, endToEnd } = scene;
  const newest = committed.at(-1);
  const keys = (await customer.objects()).map(({ Key }) => Key);
  if (newest === undefined) return keys.includes('receipt.json') ? ['a receipt is there that nobody put'] : [];
  const found = await readJson<GuideReceipt>(customer, 'receipt.json');
  const broken = found.timestamp === newest.receipt.timestamp ? [] : ['the receipt in the bucket is not the newest'];
  const receipts = new Map(committed.map(({ receipt }) => [receipt.timestamp, receipt]));
  for (const { tables: promised } of receipts.values()) {
    if (Object.keys(promised).join() !== tables.join()) broken.push('a receipt does not name every table');
    for (const [table, promise] of Object.entries(promised)) {
      const count = (await keysIn(customer, promise.folder)).length;
      if (count !== promise.total_file_count) {
        broken.push(`${promise.folder} has ${count} files, not ${promise.total_file_count}`);
      }
      const [metadata] = await bigqueryTable(scene, table).getMetadata();
      const { schema } = metadata as { schema: { fields: unknown } };
      const fields = await readJson<unknown>(customer, promise.schemas.bigquery);
      if (!isDeepStrictEqual(fields, schema.fields)) broken.push(`the schema of ${table} is another`);
      const { missing, unexpected } = await compareRows(customer, promise, endToEnd.parquetFile(table));
      if (missing + unexpected > 0) broken.push(`${table} lacks ${missing} rows and has ${unexpected} too many`);
    }
  }
  return broken;
}
