import { ApplicationFailure } from '@temporalio/activity';
import { dumpStagingPrefix } from '../dump/keys';
import type { FailureType } from '../contract';
import type { StagingBuckets } from '../stores/staging-bucket';
import { heartbeating } from './heartbeat';
import { callingDump } from './identity';

/**
 * Deletes everything that the calling dump staged, in every location, and nothing else. Staging of a dump whose extraction
 * was interrupted is found too: the prefix is the dump's own.
 */
export const createClearStaging = ({
  staging,
  stagingBucketByLocation,
}: {
  staging: StagingBuckets;
  stagingBucketByLocation: ReadonlyMap<string, string>;
}) =>
  async function clearStaging(): Promise<void> {
    const { accountId, folder } = callingDump();
    const prefix = dumpStagingPrefix(accountId, folder);
    await heartbeating(
      () => undefined,
      async () => {
        for (const bucket of new Set(stagingBucketByLocation.values())) {
          await staging.deleteAll(bucket, prefix).catch(ignoreMissingBucket);
        }
      },
    );
  };

/** A bucket that is gone holds nothing of the dump. */
function ignoreMissingBucket(error: unknown): void {
  const missing: FailureType = 'StagingBucketMissing';
  if (!(error instanceof ApplicationFailure && error.type === missing)) throw error;
}
