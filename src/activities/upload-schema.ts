import type { DestinationSettings, StagedTable, TableName } from '../contract';
import { schemaKey, stagedSchemaName } from '../dump/keys';
import type { CustomerBuckets } from '../stores/customer-bucket';
import type { StagingBuckets } from '../stores/staging-bucket';
import { smallRequestTimeoutMs } from '../timing';
import { callingDump, deliveryTo } from './identity';

export interface UploadSchemaInput {
  readonly settings: DestinationSettings;
  readonly table: TableName;
  readonly staged: StagedTable;
}

/** Uploads the schema that was staged with the table's extraction, so that it fits these rows and no later ones. */
export const createUploadSchema = ({
  staging,
  customerBuckets,
}: {
  staging: StagingBuckets;
  customerBuckets: CustomerBuckets;
}) =>
  async function uploadSchema({ settings, table, staged }: UploadSchemaInput): Promise<void> {
    const { folder } = callingDump();
    const body = await staging.readText(staged.stagingBucket, stagedSchemaName(staged.stagingPrefix));
    const key = schemaKey(settings, folder, table);
    await customerBuckets
      .open(deliveryTo(settings))
      .put({ key, contentType: 'application/json', body }, AbortSignal.timeout(smallRequestTimeoutMs));
  };
