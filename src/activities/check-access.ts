import { randomUUID } from 'node:crypto';
import type { AssumedRole, DestinationSettings } from '../contract';
import { accessCheckKey } from '../dump/keys';
import { accessCheckFile } from '../dump/access-check';
import { roleIsOpen } from '../failures';
import type { CustomerBuckets } from '../stores/customer-bucket';
import { smallRequestTimeoutMs } from '../timing';
import { deliveryTo } from './identity';

export interface CheckAccessInput {
  readonly settings: DestinationSettings;
}

/**
 * Proves what a dump will need, by what a dump does, and nothing more: that the customer role can be assumed with the
 * customer's external id, that it cannot be without it nor with another one, and that a small object is taken under the
 * path. Only STS's `AccessDenied` counts as refused: a fault of the network proves nothing.
 */
export const createCheckAccess = ({ customerBuckets }: { customerBuckets: CustomerBuckets }) =>
  async function checkAccess({ settings }: CheckAccessInput): Promise<AssumedRole> {
    const delivery = deliveryTo(settings);
    const proof = await customerBuckets.proveAccess(delivery);
    for (const externalId of [undefined, `not-${randomUUID()}`]) {
      if (await customerBuckets.letsIn(delivery, externalId)) throw roleIsOpen(delivery, externalId);
    }
    await customerBuckets.open(delivery).put(
      {
        key: accessCheckKey(settings),
        contentType: 'application/json',
        body: accessCheckFile(delivery.accountId, new Date()),
      },
      AbortSignal.timeout(smallRequestTimeoutMs),
    );
    return proof;
  };
