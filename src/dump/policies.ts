import type { AccountId, BucketName, DestinationSettings, RoleArn } from '../contract';

/** The role that customers trust, from the vendor's guide for customers. A setting of the worker; this is its default. */
export const defaultVendorRoleArn = 'arn:aws:iam::485801740390:role/dreamdata_destination_s3';

type Condition = Readonly<Record<string, Readonly<Record<string, string>>>>;

interface Statement {
  readonly Sid?: string;
  readonly Effect: 'Allow' | 'Deny';
  readonly Principal?: { readonly AWS: string };
  readonly Action: string | readonly string[];
  readonly Resource?: string | readonly string[];
  readonly Condition?: Condition;
}

export interface PolicyDocument {
  readonly Version: '2012-10-17';
  readonly Statement: readonly Statement[];
}

const policy = (...statements: Statement[]): PolicyDocument => ({ Version: '2012-10-17', Statement: statements });

/** What the worker's identity may do: the vendor role is all that it needs. */
export const assumePolicy = (roleArn: string): PolicyDocument =>
  policy({ Effect: 'Allow', Action: 'sts:AssumeRole', Resource: roleArn });

/** Step 2 of the guide: who may assume the customer role, and with which external id. */
export const trustPolicy = (accountId: AccountId, vendorRoleArn: string = defaultVendorRoleArn): PolicyDocument =>
  policy({
    Sid: 'DreamdataStsPolicy',
    Effect: 'Allow',
    Principal: { AWS: vendorRoleArn },
    Action: 'sts:AssumeRole',
    Condition: { StringEquals: { 'sts:ExternalId': accountId } },
  });

const putActions = ['s3:PutObject', 's3:PutObjectAcl'] as const;

/** Step 2 of the guide: what the customer role may do. */
export const permissionPolicy = (bucket: BucketName): PolicyDocument =>
  policy({
    Sid: 'DreamdataDataPlatform',
    Effect: 'Allow',
    Action: putActions,
    Resource: [`arn:aws:s3:::${bucket}/*`, `arn:aws:s3:::${bucket}`],
  });

const kmsActions = ['kms:GenerateDataKey', 'kms:Decrypt'] as const;

/** The guide's conditional step, for a bucket encrypted with a KMS key. */
export const kmsPolicy = (kmsKeyArn: string): PolicyDocument =>
  policy({ Sid: 'KMSEncryption', Effect: 'Allow', Action: kmsActions, Resource: kmsKeyArn });

/** What a key's policy must have where it does not leave the decision to the account's own policies, as KMS's default does. */
export const keyPolicyStatement = (roleArn: RoleArn): Statement => ({
  Sid: 'DreamdataEncryption',
  Effect: 'Allow',
  Principal: { AWS: roleArn },
  Action: kmsActions,
  Resource: '*',
});

/** What the policy of a bucket must have that is of another account than the role. */
export const bucketPolicyStatement = (bucket: BucketName, roleArn: RoleArn): Statement => ({
  Sid: 'DreamdataDataPlatform',
  Effect: 'Allow',
  Principal: { AWS: roleArn },
  Action: putActions,
  Resource: `arn:aws:s3:::${bucket}/*`,
});

/** Added to the `Condition` of a statement that denies, it exempts the role (`aws:PrincipalArn` of a session is its role's). */
export const exemption = (roleArn: RoleArn): Condition => ({ ArnNotEquals: { 'aws:PrincipalArn': roleArn } });

/** What a payload key is wrapped with beside the KMS key: no other use of that key is let in by the policy below. */
export const wrappingContext = { purpose: 's3-destination-payloads' } as const;

/** What the identity of every process may do that reads a key file whose keys KMS has wrapped. */
export const unwrapPolicy = (kmsKeyArn: string): PolicyDocument =>
  policy({
    Effect: 'Allow',
    Action: 'kms:Decrypt',
    Resource: kmsKeyArn,
    Condition: { StringEquals: { 'kms:EncryptionContext:purpose': wrappingContext.purpose } },
  });

export const denyAll: PolicyDocument = policy({ Effect: 'Deny', Action: '*', Resource: '*' });

/**
 * Narrows a session to the destination's bucket and path. A session policy can only take away (STS, AssumeRole), so the
 * two KMS actions must be let through or an encrypted bucket refuses; which key is the role's own policy's business.
 */
export const sessionPolicy = ({ bucket, path }: Pick<DestinationSettings, 'bucket' | 'path'>): PolicyDocument =>
  policy(
    {
      Effect: 'Allow',
      Action: putActions,
      Resource: `arn:aws:s3:::${bucket}/${path === undefined ? '' : `${path}/`}*`,
    },
    { Effect: 'Allow', Action: kmsActions, Resource: '*' },
  );
