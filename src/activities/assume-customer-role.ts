import type { AssumedRole, DestinationSettings } from '../contract';
import type { CustomerBuckets } from '../stores/customer-bucket';
import { deliveryTo } from './identity';

export interface AssumeCustomerRoleInput {
  readonly settings: DestinationSettings;
}

/**
 * Proves that the customer role can be assumed, through the vendor role and with the customer's external id. Returns only
 * what may be seen: credentials never leave the worker.
 */
export const createAssumeCustomerRole = ({ customerBuckets }: { customerBuckets: CustomerBuckets }) =>
  async function assumeCustomerRole({ settings }: AssumeCustomerRoleInput): Promise<AssumedRole> {
    return customerBuckets.proveAccess(deliveryTo(settings));
  };
