import type { BucketPath } from '../../contract';
import type { CustomerSetUp } from './set-up';

/**
 * What every dump's folder begins with, under the path, and `receipt.json` does not. A lifecycle filter knows prefixes
 * and no exceptions; folders begin with their year, and this holds until 2099.
 */
const yearPrefix = '20';

/** Uploads of a dump that died. A shard takes minutes: none that is a day old goes on. */
export const abortAfterDays = 1;

export const dumpsPrefix = (path: BucketPath | undefined): string =>
  path === undefined ? yearPrefix : `${path}/${yearPrefix}`;

/** In the shape of S3's PutBucketLifecycleConfiguration. */
export interface LifecycleConfiguration {
  readonly Rules: readonly LifecycleRule[];
}

interface LifecycleRule {
  readonly ID: string;
  readonly Status: 'Enabled';
  readonly Filter: { readonly Prefix: string };
  readonly Expiration?: { readonly Days: number };
  readonly AbortIncompleteMultipartUpload?: { readonly DaysAfterInitiation: number };
}

export const expireRuleId = 'dreamdata-expire-dumps';
export const abortRuleId = 'dreamdata-end-incomplete-uploads';

/** Dumps go after some days, the receipt never; incomplete uploads are ended. Other objects of the bucket stay. */
export function lifecycle({ path, expireDays }: Pick<CustomerSetUp, 'path' | 'expireDays'>): LifecycleConfiguration {
  const dumps = { Status: 'Enabled', Filter: { Prefix: dumpsPrefix(path) } } as const;
  return {
    Rules: [
      { ID: expireRuleId, ...dumps, Expiration: { Days: expireDays } },
      { ID: abortRuleId, ...dumps, AbortIncompleteMultipartUpload: { DaysAfterInitiation: abortAfterDays } },
    ],
  };
}
