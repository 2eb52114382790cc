/** What to change where AWS refuses: the words and the policy statements, filled in for the customer. Pure. */
import type { AccountId, DestinationSettings, RoleArn } from './contract';
import {
  assumePolicy,
  bucketPolicyStatement,
  exemption,
  keyPolicyStatement,
  kmsPolicy,
  permissionPolicy,
  trustPolicy,
} from './dump/policies';

/** The kind of policy that did not let a request pass, as AWS names it: `identity-based policy`, `service control policy` … */
export interface Denial {
  readonly kind: string;
  /** A statement denies it. Otherwise none allows it. */
  readonly isExplicit: boolean;
}

/**
 * Whose policy a refusal blames, if it says so. It does within one account or organization only (IAM user guide,
 * "Troubleshoot access denied error messages"; S3 user guide, "Troubleshoot access denied errors").
 */
export function denialIn(message: string): Denial | undefined {
  const [, denying] = /with an explicit deny in (?:an?|the) ([\w -]+)/.exec(message) ?? [];
  if (denying !== undefined) return { kind: denying.trim(), isExplicit: true };
  const [, missing] = /because no ([\w -]+?) allows /.exec(message) ?? [];
  return missing === undefined ? undefined : { kind: missing, isExplicit: false };
}

/** Of the policies that a session of the customer role meets, ours: the one that narrows it, and our network's. */
export const isOurs = (denial: Denial | undefined): denial is Denial =>
  denial !== undefined && /^(session policy|VPC endpoint policy)$/.test(denial.kind);

/** Of the policies that decide on assuming the customer role, the customer's; the rest are about the vendor role. */
const isOfRole = ({ kind }: Denial): boolean => /^(resource-based|role trust|resource control) policy$/.test(kind);

/** The vendor role's own policies stop it before the customer's trust is looked at. */
export const isOfVendorRole = (denial: Denial | undefined): denial is Denial =>
  denial !== undefined && !isOfRole(denial);

export const vendorRoleRemedy = (vendorRoleArn: string): string =>
  `let the role's trust policy name the identity that the worker runs as, and let that identity's policy be ${json(assumePolicy(vendorRoleArn))}. No boundary, service control policy or VPC endpoint policy of ours may be in the way.`;

export const ourPolicyRemedy = ({ kind }: Denial, action: string, resource: string): string =>
  `our ${kind} must allow ${action} on ${resource}, and nothing of ours may deny it.`;

export const vendorPolicyRemedy = (denial: Denial, roleArn: RoleArn): string =>
  denial.kind === 'identity-based policy' && !denial.isExplicit
    ? `give the vendor role the policy ${json(assumePolicy(roleArn))}, or one that allows the same on all roles.`
    : ourPolicyRemedy(denial, 'sts:AssumeRole', roleArn);

/** STS does not tell a wrong external id from a missing trust or a missing role, so the remedy is the whole statement. */
export const trustRemedy = (accountId: AccountId, vendorRoleArn: string): string =>
  `the role must exist and its trust policy must be ${json(trustPolicy(accountId, vendorRoleArn))}. If it is, a resource control policy of the customer's organization keeps strangers out: let it admit the vendor role.`;

type Put = Pick<DestinationSettings, 'bucket' | 'bucketOwner' | 'roleArn' | 'kmsKeyArn'>;

const isOfAnotherAccount = ({ bucketOwner, roleArn }: Put): boolean => roleArn.split(':')[4] !== bucketOwner;

export function bucketRemedy(denial: Denial | undefined, put: Put): string {
  const { bucket, bucketOwner, roleArn } = put;
  if (denial?.isExplicit === true) return `${denialRemedy(ownerOf(denial), denial, roleArn)} ${whatPutsCarry(put)}`;
  const permissions = `the role's permission policy must be ${json(permissionPolicy(bucket))}`;
  if (denial?.kind === 'identity-based policy') return `${permissions}.`;
  const bucketPolicy = `the bucket's policy must have the statement ${json(bucketPolicyStatement(bucket, roleArn))}`;
  if (denial?.kind === 'resource-based policy') return `${bucketPolicy}.`;
  if (denial !== undefined) {
    return `${ownerOf(denial)} must allow s3:PutObject and s3:PutObjectAcl on arn:aws:s3:::${bucket}/*, too.`;
  }
  return `S3 gives no reason, as for a bucket of another account: the bucket must belong to account ${bucketOwner} (if it is meant to belong to another, connect again with --bucket-owner). If it does, no bucket policy may deny ${roleArn}, and ${permissions}${isOfAnotherAccount(put) ? `, and ${bucketPolicy}` : ''}.`;
}

/** A policy of the role's own has no need to exempt it. */
const denialRemedy = (who: string, { kind }: Denial, roleArn: RoleArn): string =>
  `${who} denies it, and no statement that allows outweighs that: take the denying statement out${
    /^(identity-based policy|permissions boundary)$/.test(kind)
      ? '.'
      : `, or exempt the role from it by the condition ${json(exemption(roleArn))}.`
  }`;

function ownerOf({ kind }: Denial): string {
  if (kind === 'resource-based policy') return "the bucket's policy";
  if (kind === 'identity-based policy') return "the role's own policy";
  return kind === 'permissions boundary'
    ? "the role's permissions boundary"
    : `a ${kind} of the customer's organization`;
}

/** What a bucket policy's conditions may ask for. They see the request, not what the bucket adds to it (S3 user guide). */
const whatPutsCarry = ({ kmsKeyArn }: Put): string =>
  `Our puts come by TLS and carry x-amz-acl: bucket-owner-full-control, a CRC32C, and ${
    kmsKeyArn === undefined
      ? 'no header of encryption, as the bucket encrypts by its default: where the statement demands aws:kms, connect again with --kms-key-arn; one that demands AES256 is needless, as S3 encrypts every object at the least so.'
      : `x-amz-server-side-encryption: aws:kms with the key ${kmsKeyArn}.`
  }`;

/** S3 has KMS make a data key in the name of whoever puts (S3 user guide, "Using SSE-KMS"); KMS's codes begin with `KMS.`. */
export function keyRemedy(code: string, message: string, put: Put): string {
  const key = keyArnIn(message) ?? put.kmsKeyArn ?? "THE ARN OF THE BUCKET'S KEY";
  const another =
    put.kmsKeyArn === undefined
      ? "make another the bucket's default encryption"
      : 'connect again with another --kms-key-arn, or without one';
  if (code === 'KMS.DisabledException') return `enable the key: aws kms enable-key --key-id ${key}; or ${another}.`;
  if (code === 'KMS.KMSInvalidStateException') {
    return `where the key is pending deletion, keep it: aws kms cancel-key-deletion --key-id ${key}, then aws kms enable-key --key-id ${key}; or ${another}.`;
  }
  if (code === 'KMS.NotFoundException') {
    return `the key must exist and be in the region of the bucket ${put.bucket}: ${another}.`;
  }
  if (code === 'KMS.InvalidKeyUsageException') return `S3 takes symmetric keys for encryption only: ${another}.`;
  if (code.startsWith('KMS.')) return `see what KMS says above of the key ${key}; or ${another}.`;
  return keyDenialRemedy(denialIn(message), key, put);
}

function keyDenialRemedy(denial: Denial | undefined, key: string, put: Put): string {
  const { roleArn } = put;
  const rolePolicy = `the role ${roleArn} needs the policy ${json(kmsPolicy(key))}`;
  const keyPolicy = `the key's own policy must have the statement ${json(keyPolicyStatement(roleArn))}`;
  if (denial?.isExplicit === true) {
    const who = denial.kind === 'resource-based policy' ? "the key's policy" : ownerOf(denial);
    return denialRemedy(who, denial, roleArn);
  }
  if (denial?.kind === 'identity-based policy') return `${rolePolicy}.`;
  if (denial?.kind === 'resource-based policy') return `${keyPolicy}.`;
  if (denial !== undefined) {
    return `${ownerOf(denial)} must allow kms:GenerateDataKey and kms:Decrypt on ${key}, too.`;
  }
  const managed = isOfAnotherAccount(put) ? ' (no other account can use aws/s3)' : '';
  return `the key must be in the region of the bucket ${put.bucket}${managed}, ${rolePolicy}, and ${keyPolicy}.`;
}

/** The key that AWS's message names, if it does. */
const keyArnIn = (message: string): string | undefined => /arn:aws:kms:[\w-]+:\d{12}:key\/[\w-]+/.exec(message)?.[0];

/** Answers that S3 gives of a bucket for good (S3 API reference, "Error responses"), and what to do about each. */
export function putRemedy(code: string, message: string): string | undefined {
  if (code === 'InvalidRequest' && message.includes('Object Lock')) {
    return 'take the default retention off the bucket: our puts carry a CRC32C, which S3 takes under Object Lock, and this store does not.';
  }
  return putRemedies.get(code);
}

const bySettings = "change the bucket's settings so that an ordinary PutObject is taken; S3 says why above.";
const bySupport = 'the owner of the bucket must ask AWS Support to open the account or the bucket again.';

const putRemedies: ReadonlyMap<string, string> = new Map([
  [
    'AccessControlListNotSupported',
    'let the bucket take the ACL bucket-owner-full-control, as S3 does also where ACLs are switched off.',
  ],
  ['AccountProblem', bySupport],
  ['AllAccessDisabled', bySupport],
  ['InvalidArgument', bySettings],
  ['InvalidBucketState', bySettings],
  ['InvalidObjectState', bySettings],
  ['InvalidRequest', bySettings],
  ['KeyTooLongError', 'connect again with a shorter --path.'],
  ['MethodNotAllowed', bySettings],
  ['NotImplemented', bySettings],
  ['NotSignedUp', bySupport],
]);

const json = (document: object): string => JSON.stringify(document);
