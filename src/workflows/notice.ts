import { ApplicationFailure, defineWorkflowOptions, isCancellation, rootCause } from '@temporalio/workflow';
import type { Notice } from '../contract';
import { noticeGiveUpMs } from '../timing';
import { activitiesFor } from './activity-proxies';
import { versioned } from './versioning';

// Pinned, a receiver that is down would keep an old version's workers running for as long as notices are retried.
defineWorkflowOptions(notice, versioned('AUTO_UPGRADE'));

/**
 * Tells one thing, at least once. A workflow of its own, which outlives the dump that starts it: a slow or broken receiver
 * delays nothing. Its id is the one that the receiver knows the notice by.
 */
export async function notice(told: Notice): Promise<void> {
  try {
    await activitiesFor(told.data.account).sendNotice(told.type, told);
  } catch (error) {
    if (isCancellation(error)) throw error;
    throw ApplicationFailure.nonRetryable(
      `The receiver did not take this notice within ${noticeGiveUpMs / 3_600_000} hours, it is given up: ${rootCause(error) ?? ''}`,
      'NoticeNotTaken',
    );
  }
}
