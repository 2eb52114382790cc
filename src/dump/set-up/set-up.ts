import type { AccountId, BucketName, BucketPath } from '../../contract';
import { kmsPolicy, permissionPolicy, trustPolicy, type PolicyDocument } from '../policies';

/** What a customer's AWS account is set up with: the same facts, whichever form they are printed in. */
export interface CustomerSetUp {
  readonly accountId: AccountId;
  readonly vendorRoleArn: string;
  readonly roleName: string;
  readonly bucket: BucketName;
  readonly path?: BucketPath;
  readonly kmsKeyArn?: string;
  readonly expireDays: number;
  /** Whether the bucket is there already: then a template must not make it. */
  readonly bucketExists: boolean;
}

export const defaultRoleName = 'dreamdata-data-platform';
/** "A value of 7 days would be a sensible value" (the guide for customers, step 1). */
export const defaultExpireDays = 7;

/** The customer role's inline policies, by name. */
export const rolePolicies = ({
  bucket,
  kmsKeyArn,
}: Pick<CustomerSetUp, 'bucket' | 'kmsKeyArn'>): readonly (readonly [name: string, document: PolicyDocument])[] => [
  ['DreamdataDataPlatform', permissionPolicy(bucket)],
  ...(kmsKeyArn === undefined ? [] : [['KMSEncryption', kmsPolicy(kmsKeyArn)] as const]),
];

export const roleTrust = ({ accountId, vendorRoleArn }: Pick<CustomerSetUp, 'accountId' | 'vendorRoleArn'>) =>
  trustPolicy(accountId, vendorRoleArn);
