/** Holds a receipt against the bucket that it was put into. A dump that is counted and was not delivered is worth nothing. */
import type { Receipt } from '../../src/dump/receipt';

/** What is wrong, in sentences; nothing is, if it is empty. */
export function faultsOfReceipt(receipt: Receipt, keys: Iterable<string>): string[] {
  const keysByFolder = Map.groupBy(keys, (key) => key.slice(0, key.lastIndexOf('/')));
  const there = new Set([...keysByFolder.values()].flat());
  const tables = Object.entries(receipt.tables);
  if (tables.length === 0) return ['The receipt names no table.'];
  return tables.flatMap(([table, { folder, total_file_count: said, schemas }]) => {
    const found = keysByFolder.get(folder)?.length ?? 0;
    return [
      ...(found === said ? [] : [`${table}: the receipt says ${said} files, and there are ${found} in ${folder}.`]),
      ...(there.has(schemas.bigquery) ? [] : [`${table}: ${schemas.bigquery} is not there.`]),
    ];
  });
}
