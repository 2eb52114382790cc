import { activityInfo } from '@temporalio/activity';
import type { DestinationSettings } from '../contract';
import { receiptKey } from '../dump/keys';
import { receiptOf, type DeliveredTable } from '../dump/receipt';
import type { CustomerBuckets } from '../stores/customer-bucket';
import { commitWithinMs, smallRequestTimeoutMs } from '../timing';
import { callingDump, deliveryTo } from './identity';

export interface CommitReceiptInput {
  readonly settings: DestinationSettings;
  /** RFC 3339: the dump's start. */
  readonly startedAt: string;
  readonly delivered: readonly DeliveredTable[];
}

/**
 * Tells the customer that the dump is complete: the last put of a dump, after every file that the receipt speaks of is
 * stored. S3 itself refuses it once this attempt's time is over, and that is before Temporal gives the attempt up: so an
 * attempt that was given up on, however long its process or the network held it, cannot put an older receipt over a
 * newer one. Returns the receipt's key.
 */
export const createCommitReceipt = ({ customerBuckets }: { customerBuckets: CustomerBuckets }) =>
  async function commitReceipt({ settings, startedAt, delivered }: CommitReceiptInput): Promise<string> {
    const { folder } = callingDump();
    const { currentAttemptScheduledTimestampMs: fromMs } = activityInfo();
    const validity = { fromMs, untilMs: fromMs + commitWithinMs };
    const key = receiptKey(settings);
    const body = `${JSON.stringify(receiptOf(settings, folder, new Date(startedAt), delivered), null, 2)}\n`;
    await customerBuckets
      .open(deliveryTo(settings))
      .put({ key, contentType: 'application/json', body, validity }, AbortSignal.timeout(smallRequestTimeoutMs));
    return key;
  };
