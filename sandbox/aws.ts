/** The AWS stand-in: a vendor account and a customer account, set up as the vendor's guide tells a customer to. */
import { realpathSync } from 'node:fs';
import path from 'node:path';
import {
  CreateAccessKeyCommand,
  CreateRoleCommand,
  CreateUserCommand,
  IAMClient,
  PutRolePolicyCommand,
  PutUserPolicyCommand,
  UpdateAssumeRolePolicyCommand,
} from '@aws-sdk/client-iam';
import {
  CreateKeyCommand,
  DisableKeyCommand,
  EnableKeyCommand,
  EncryptCommand,
  GenerateDataKeyWithoutPlaintextCommand,
  KMSClient,
  PutKeyPolicyCommand,
  ScheduleKeyDeletionCommand,
  type EncryptCommandOutput,
} from '@aws-sdk/client-kms';
import {
  CreateBucketCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  PutBucketEncryptionCommand,
  PutBucketOwnershipControlsCommand,
  PutBucketPolicyCommand,
  PutBucketVersioningCommand,
  PutObjectLockConfigurationCommand,
  S3Client,
  type _Object,
  type ObjectOwnership,
  type ObjectVersion,
} from '@aws-sdk/client-s3';
import type { AccountId, BucketName } from '../src/contract';
import {
  defaultVendorRoleArn,
  permissionPolicy,
  trustPolicy,
  wrappingContext,
  type PolicyDocument,
} from '../src/dump/policies';
import { answers, projectFolder, start, untilReady, type Running } from './processes';
import { ensureTool, ministack } from './toolchain';

export const customerAccount = '111122223333';
/** What the vendor's account is made of. */
export const vendor = {
  account: '485801740390',
  roleName: 'dreamdata_destination_s3',
  rolePolicyName: 'assume-customer-roles',
  workerUserName: 's3-destination-worker',
  workerPolicyName: 'assume-vendor-role',
} as const;

/** Starts ministack with the checks that it leaves out. */
const strict = path.join(projectFolder, 'sandbox', 'ministack-strict.py');

/** With `folder`, objects are on disk at once, roles and settings of buckets when it is asked to stop; sessions never. */
export async function startAws(port: number, say: (line: string) => void, folder?: string): Promise<Running> {
  const program = await ensureTool(ministack, say);
  const running = start(
    'The AWS stand-in (ministack)',
    path.join(path.dirname(realpathSync(program)), 'python3'),
    [strict],
    {
      AUTH: 'true',
      GATEWAY_PORT: String(port),
      BIND_HOST: '127.0.0.1',
      SERVICES: 's3,sts,iam,kms',
      LOG_LEVEL: 'WARNING',
      MINISTACK_REGION: 'us-east-1',
      ...(folder === undefined ? {} : keptIn(folder)),
    },
  );
  await untilReady(running, answers(`http://127.0.0.1:${port}/_ministack/health`));
  return running;
}

const keptIn = (folder: string): Record<string, string> => ({
  S3_PERSIST: '1',
  S3_DATA_DIR: path.join(folder, 's3'),
  PERSIST_STATE: '1',
  STATE_DIR: path.join(folder, 'state'),
});

export interface WorkerKeys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/** On the stand-in an account's number as access key id is that account's root. */
const rootOf = (account: string, endpoint: string, region = 'us-east-1') => ({
  region,
  endpoint,
  forcePathStyle: true,
  credentials: { accessKeyId: account, secretAccessKey: 'test' },
});

/** The vendor's side: the worker's identity, and the vendor role that it may assume. */
export async function setUpVendor(endpoint: string): Promise<WorkerKeys> {
  const iam = new IAMClient(rootOf(vendor.account, endpoint));
  await iam.send(new CreateUserCommand({ UserName: vendor.workerUserName }));
  const { AccessKey } = await iam.send(new CreateAccessKeyCommand({ UserName: vendor.workerUserName }));
  await iam.send(
    new PutUserPolicyCommand({
      UserName: vendor.workerUserName,
      PolicyName: vendor.workerPolicyName,
      PolicyDocument: allowAssume(defaultVendorRoleArn),
    }),
  );
  await iam.send(
    new CreateRoleCommand({
      RoleName: vendor.roleName,
      AssumeRolePolicyDocument: JSON.stringify({
        Version: '2012-10-17',
        Statement: [
          {
            Effect: 'Allow',
            Principal: { AWS: `arn:aws:iam::${vendor.account}:user/${vendor.workerUserName}` },
            Action: 'sts:AssumeRole',
          },
        ],
      }),
    }),
  );
  await letVendorRoleAssume(endpoint, 'arn:aws:iam::*:role/*');
  if (!AccessKey?.AccessKeyId || !AccessKey.SecretAccessKey) throw new Error('The AWS stand-in made no access key');
  return { accessKeyId: AccessKey.AccessKeyId, secretAccessKey: AccessKey.SecretAccessKey };
}

/** Which roles the vendor role may assume, by its own policy. */
export async function letVendorRoleAssume(endpoint: string, roleArn: string): Promise<void> {
  await new IAMClient(rootOf(vendor.account, endpoint)).send(
    new PutRolePolicyCommand({
      RoleName: vendor.roleName,
      PolicyName: vendor.rolePolicyName,
      PolicyDocument: allowAssume(roleArn),
    }),
  );
}

/** What the worker's identity may do beside assuming the vendor role. */
export async function allowWorker(endpoint: string, policy: PolicyDocument): Promise<void> {
  await new IAMClient(rootOf(vendor.account, endpoint)).send(
    new PutUserPolicyCommand({
      UserName: vendor.workerUserName,
      PolicyName: 'more',
      PolicyDocument: JSON.stringify(policy),
    }),
  );
}

const allowAssume = (roleArn: string): string =>
  JSON.stringify({
    Version: '2012-10-17',
    Statement: [{ Effect: 'Allow', Action: 'sts:AssumeRole', Resource: roleArn }],
  });

/** The KMS keys of one account, as its administrator sees them. */
export class KmsKeys {
  private readonly kms: KMSClient;

  constructor(account: string, endpoint: string, region: string) {
    this.kms = new KMSClient(rootOf(account, endpoint, region));
  }

  async create(): Promise<string> {
    const { KeyMetadata } = await this.kms.send(new CreateKeyCommand({}));
    return KeyMetadata?.Arn ?? '';
  }

  async setPolicy(keyArn: string, policy: object): Promise<void> {
    await this.kms.send(
      new PutKeyPolicyCommand({ KeyId: keyArn, PolicyName: 'default', Policy: JSON.stringify(policy) }),
    );
  }

  async disable(keyArn: string): Promise<void> {
    await this.kms.send(new DisableKeyCommand({ KeyId: keyArn }));
  }

  async enable(keyArn: string): Promise<void> {
    await this.kms.send(new EnableKeyCommand({ KeyId: keyArn }));
  }

  async scheduleDeletion(keyArn: string): Promise<void> {
    await this.kms.send(new ScheduleKeyDeletionCommand({ KeyId: keyArn }));
  }

  /** A new key, which nobody has seen, as it stands on a line of a key file behind its name. */
  async wrapNew(keyArn: string, context: Record<string, string> = wrappingContext): Promise<string> {
    const input = { KeyId: keyArn, KeySpec: 'AES_256', EncryptionContext: context } as const;
    return onLine(await this.kms.send(new GenerateDataKeyWithoutPlaintextCommand(input)));
  }

  /** The same of a key that there is. */
  async wrap(keyArn: string, key: Uint8Array): Promise<string> {
    const input = { KeyId: keyArn, Plaintext: key, EncryptionContext: wrappingContext };
    return onLine(await this.kms.send(new EncryptCommand(input)));
  }
}

const onLine = ({
  KeyId = '',
  CiphertextBlob = new Uint8Array(),
}: Pick<EncryptCommandOutput, 'KeyId' | 'CiphertextBlob'>) =>
  `${KeyId} ${Buffer.from(CiphertextBlob).toString('base64')}`;

export interface CustomerOptions {
  readonly endpoint: string;
  readonly accountId: AccountId;
  readonly bucket: BucketName;
  readonly roleName?: string;
  readonly region?: string;
}

/** A customer's AWS account: what its people can see and change, as the program cannot. */
export class CustomerAccount {
  readonly roleArn: string;
  readonly keys: KmsKeys;
  private readonly roleName: string;
  private readonly iam: IAMClient;
  private readonly s3: S3Client;

  constructor(private readonly options: CustomerOptions) {
    const { endpoint, roleName = 'dreamdata-data-platform', region = 'eu-west-1' } = options;
    this.roleName = roleName;
    this.roleArn = `arn:aws:iam::${customerAccount}:role/${roleName}`;
    this.iam = new IAMClient(rootOf(customerAccount, endpoint));
    this.s3 = new S3Client(rootOf(customerAccount, endpoint, region));
    this.keys = new KmsKeys(customerAccount, endpoint, region);
  }

  /** Steps 1 and 2 of the guide. */
  async followGuide(): Promise<void> {
    const { accountId, bucket, region = 'eu-west-1' } = this.options;
    await this.s3.send(
      new CreateBucketCommand({
        Bucket: bucket,
        ...(region === 'us-east-1' ? {} : { CreateBucketConfiguration: { LocationConstraint: region as 'eu-west-1' } }),
      }),
    );
    await this.iam.send(
      new CreateRoleCommand({
        RoleName: this.roleName,
        AssumeRolePolicyDocument: JSON.stringify(trustPolicy(accountId)),
      }),
    );
    await this.setPermissions(permissionPolicy(bucket));
  }

  async setTrust(policy: PolicyDocument): Promise<void> {
    await this.iam.send(
      new UpdateAssumeRolePolicyCommand({ RoleName: this.roleName, PolicyDocument: JSON.stringify(policy) }),
    );
  }

  async setPermissions(policy: PolicyDocument): Promise<void> {
    await this.iam.send(
      new PutRolePolicyCommand({
        RoleName: this.roleName,
        PolicyName: 'DreamdataDataPlatform',
        PolicyDocument: JSON.stringify(policy),
      }),
    );
  }

  /** Makes the key the bucket's default encryption. */
  async encryptWith(keyArn: string): Promise<void> {
    const byDefault = { SSEAlgorithm: 'aws:kms', KMSMasterKeyID: keyArn } as const;
    await this.s3.send(
      new PutBucketEncryptionCommand({
        Bucket: this.options.bucket,
        ServerSideEncryptionConfiguration: { Rules: [{ ApplyServerSideEncryptionByDefault: byDefault }] },
      }),
    );
  }

  async setBucketPolicy(policy: object): Promise<void> {
    await this.s3.send(new PutBucketPolicyCommand({ Bucket: this.options.bucket, Policy: JSON.stringify(policy) }));
  }

  /** `BucketOwnerEnforced`, as new buckets have it, switches ACLs off. */
  async setOwnership(ownership: ObjectOwnership): Promise<void> {
    const OwnershipControls = { Rules: [{ ObjectOwnership: ownership }] };
    await this.s3.send(new PutBucketOwnershipControlsCommand({ Bucket: this.options.bucket, OwnershipControls }));
  }

  /** Nothing that is stored from now on can be deleted for so many days. Object Lock needs versions. */
  async lockObjects(days: number): Promise<void> {
    const { bucket: Bucket } = this.options;
    await this.s3.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: 'Enabled' } }));
    const Rule = { DefaultRetention: { Mode: 'COMPLIANCE', Days: days } } as const;
    const ObjectLockConfiguration = { ObjectLockEnabled: 'Enabled', Rule } as const;
    await this.s3.send(new PutObjectLockConfigurationCommand({ Bucket, ObjectLockConfiguration }));
  }

  /** All versions of an object, newest first. */
  async versions(key: string): Promise<ObjectVersion[]> {
    const { Versions } = await this.s3.send(
      new ListObjectVersionsCommand({ Bucket: this.options.bucket, Prefix: key }),
    );
    return Versions ?? [];
  }

  /** The key that an object is stored with. */
  async keyOf(key: string): Promise<string | undefined> {
    return (await this.s3.send(new HeadObjectCommand({ Bucket: this.options.bucket, Key: key }))).SSEKMSKeyId;
  }

  /** What is in the bucket, by key. */
  async objects(): Promise<(_Object & { Key: string })[]> {
    const found: (_Object & { Key: string })[] = [];
    for (let token: string | undefined, more = true; more;) {
      const page = await this.s3.send(
        new ListObjectsV2Command({ Bucket: this.options.bucket, ContinuationToken: token }),
      );
      for (const object of page.Contents ?? [])
        if (object.Key !== undefined) found.push({ ...object, Key: object.Key });
      token = page.NextContinuationToken;
      more = page.IsTruncated === true;
    }
    return found;
  }

  async read(key: string): Promise<{ contentType: string; contentEncoding: string | undefined; bytes: Uint8Array }> {
    const object = await this.s3.send(new GetObjectCommand({ Bucket: this.options.bucket, Key: key }));
    return {
      contentType: object.ContentType ?? '',
      contentEncoding: object.ContentEncoding,
      bytes: (await object.Body?.transformToByteArray()) ?? new Uint8Array(),
    };
  }
}
