import type { CustomerBuckets } from '../stores/customer-bucket';
import type { StagingBuckets } from '../stores/staging-bucket';
import type { Warehouse } from '../stores/warehouse';
import { createAssumeCustomerRole } from './assume-customer-role';
import { createClearStaging } from './clear-staging';
import { createCommitReceipt } from './commit-receipt';
import { createCopyShards } from './copy-shards';
import { createExtractTable } from './extract-table';
import { createUploadSchema } from './upload-schema';

/** Everything that activities reach the world by. */
export interface ActivityDeps {
  readonly warehouse: Warehouse;
  readonly staging: StagingBuckets;
  readonly stagingBucketByLocation: ReadonlyMap<string, string>;
  readonly customerBuckets: CustomerBuckets;
  readonly shardsInFlight: number;
}

/** In the order of the data. */
export const createActivities = (deps: ActivityDeps) => ({
  ...createControlActivities(deps),
  ...createCopyActivities(deps),
});

/** Light: asks services to do things and waits for them. */
export const createControlActivities = (deps: ActivityDeps) => ({
  assumeCustomerRole: createAssumeCustomerRole(deps),
  extractTable: createExtractTable(deps),
  uploadSchema: createUploadSchema(deps),
  commitReceipt: createCommitReceipt(deps),
  clearStaging: createClearStaging(deps),
});

/** Moves bytes. */
export const createCopyActivities = (deps: ActivityDeps) => ({
  copyShards: createCopyShards(deps),
});

export type Activities = ReturnType<typeof createActivities>;
