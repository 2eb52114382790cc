import type { DestinationSettings, FolderName, TableName } from '../contract';
import { schemaKey, tableFolder } from './keys';

/** `receipt.json`, as customers' Lambdas parse it: fields may be added beside these, none may change. */
export interface Receipt {
  /** RFC 3339 in UTC with six fractional digits: the dump's start. */
  readonly timestamp: string;
  readonly tables: Readonly<Record<string, ReceiptTable>>;
}

interface ReceiptTable {
  /** Full key of the table's folder in the bucket, without a slash at either end. */
  readonly folder: string;
  /** The number of objects in `folder`, exactly. */
  readonly total_file_count: number;
  readonly schemas: { readonly bigquery: string };
}

/** What a dump delivered of one table. */
export interface DeliveredTable {
  readonly table: TableName;
  readonly shardCount: number;
}

export function receiptOf(
  settings: DestinationSettings,
  folder: FolderName,
  startedAt: Date,
  delivered: readonly DeliveredTable[],
): Receipt {
  return {
    timestamp: receiptTimestamp(startedAt),
    tables: Object.fromEntries(
      delivered.map(({ table, shardCount }) => [
        table,
        {
          folder: tableFolder(settings, folder, table),
          total_file_count: shardCount,
          schemas: { bigquery: schemaKey(settings, folder, table) },
        },
      ]),
    ),
  };
}

/** Workflow time has milliseconds; the contract promises six digits. */
const receiptTimestamp = (instant: Date): string => instant.toISOString().replace('Z', '000Z');
