import { Context } from '@temporalio/activity';
import type { ShardSlots } from '../dump/shard-slots';
import type { CustomerBuckets } from '../stores/customer-bucket';
import { TemporalDestinations } from '../stores/running-destinations';
import type { StagingBuckets } from '../stores/staging-bucket';
import type { Warehouse } from '../stores/warehouse';
import type { Webhook } from '../stores/webhook';
import { createAskForChecks } from './ask-for-checks';
import { createAssumeCustomerRole } from './assume-customer-role';
import { createCheckAccess } from './check-access';
import { createClearStaging } from './clear-staging';
import { createCommitReceipt } from './commit-receipt';
import { createCopyShards } from './copy-shards';
import { createExtractTable } from './extract-table';
import { createNoticesAreOn, createSendNotice } from './send-notice';
import { createUploadSchema } from './upload-schema';

/** Everything that activities reach the world by. */
export interface ActivityDeps {
  readonly warehouse: Warehouse;
  readonly staging: StagingBuckets;
  readonly stagingBucketByLocation: ReadonlyMap<string, string>;
  readonly customerBuckets: CustomerBuckets;
  readonly shardSlots: ShardSlots;
  /** Where notices go; absent, there are none. */
  readonly webhook: Webhook | undefined;
}

/** In the order of the data. Light: asks services to do things. */
export const createControlActivities = (deps: ActivityDeps) => ({
  checkAccess: createCheckAccess(deps),
  assumeCustomerRole: createAssumeCustomerRole(deps),
  // Has a queue of its own since; dumps that began before still ask here.
  ...createExtractActivities(deps),
  uploadSchema: createUploadSchema(deps),
  commitReceipt: createCommitReceipt(deps),
  clearStaging: createClearStaging(deps),
  noticesAreOn: createNoticesAreOn(deps),
  // The worker's own client, which there is only while an activity runs.
  askForChecks: createAskForChecks(() => new TemporalDestinations(Context.current().client)),
});

/** Waits for BigQuery, as long as its jobs take. */
export const createExtractActivities = (deps: ActivityDeps) => ({
  extractTable: createExtractTable(deps),
});

/** Moves bytes. */
export const createCopyActivities = (deps: ActivityDeps) => ({
  copyShards: createCopyShards(deps),
});

/** Waits for a receiver that may be slow. */
export const createNoticeActivities = (webhook: Webhook) => ({
  sendNotice: createSendNotice({ webhook }),
});

export type Activities = ReturnType<typeof createControlActivities> &
  ReturnType<typeof createCopyActivities> &
  ReturnType<typeof createNoticeActivities>;
