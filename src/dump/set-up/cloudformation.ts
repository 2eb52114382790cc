import { InvalidInput } from '../inputs';
import { abortAfterDays, abortRuleId, dumpsPrefix, expireRuleId } from './lifecycle';
import { rolePolicies, roleTrust, type CustomerSetUp } from './set-up';

/**
 * The customer's role and, unless it exists, the bucket, as a template in JSON. Values are filled in as literals, with no
 * parameters: there is nothing to mistype, and no function that would read a value as more than text. A stack can set
 * the lifecycle of a bucket that it makes only.
 */
export function cloudFormationTemplate(setUp: CustomerSetUp): string {
  const template = {
    AWSTemplateFormatVersion: '2010-09-09',
    Description: 'Lets the data platform write dumps of its tables into an S3 bucket of this account.',
    Resources: { Role: role(setUp), ...(setUp.bucketExists ? {} : { Bucket: bucket(setUp) }) },
    Outputs: {
      RoleArn: { Description: 'Give this to the vendor.', Value: { 'Fn::GetAtt': ['Role', 'Arn'] } },
      BucketName: { Description: 'Give this to the vendor.', Value: setUp.bucket },
    },
  };
  return JSON.stringify(template, refuseDynamicReference, 2);
}

/** CloudFormation looks up `{{resolve:…}}` in any text, and has no way to escape it. */
function refuseDynamicReference(_key: string, value: unknown): unknown {
  if (typeof value === 'string' && value.includes('{{resolve:')) {
    throw new InvalidInput("A value holds '{{resolve:', which CloudFormation would look up: give one without it.");
  }
  return value;
}

const role = (setUp: CustomerSetUp) => ({
  Type: 'AWS::IAM::Role',
  Properties: {
    RoleName: setUp.roleName,
    AssumeRolePolicyDocument: roleTrust(setUp),
    Policies: rolePolicies(setUp).map(([PolicyName, PolicyDocument]) => ({ PolicyName, PolicyDocument })),
  },
});

const bucket = ({ bucket: BucketName, path, kmsKeyArn, expireDays }: CustomerSetUp) => ({
  Type: 'AWS::S3::Bucket',
  // Data outlives the stack.
  DeletionPolicy: 'Retain',
  UpdateReplacePolicy: 'Retain',
  Properties: {
    BucketName,
    BucketEncryption: {
      ServerSideEncryptionConfiguration: [
        kmsKeyArn === undefined
          ? { ServerSideEncryptionByDefault: { SSEAlgorithm: 'AES256' } }
          : {
              BucketKeyEnabled: true,
              ServerSideEncryptionByDefault: { SSEAlgorithm: 'aws:kms', KMSMasterKeyID: kmsKeyArn },
            },
      ],
    },
    PublicAccessBlockConfiguration: {
      BlockPublicAcls: true,
      BlockPublicPolicy: true,
      IgnorePublicAcls: true,
      RestrictPublicBuckets: true,
    },
    LifecycleConfiguration: {
      Rules: [
        { Id: expireRuleId, Status: 'Enabled', Prefix: dumpsPrefix(path), ExpirationInDays: expireDays },
        {
          Id: abortRuleId,
          Status: 'Enabled',
          Prefix: dumpsPrefix(path),
          AbortIncompleteMultipartUpload: { DaysAfterInitiation: abortAfterDays },
        },
      ],
    },
  },
});

export const stackName = 'dreamdata-data-platform';

interface Launch {
  /** Where the template was put. The console takes templates from S3 only. */
  readonly templateUrl: string;
  readonly region?: string;
}

/** Opens the console on one page with everything filled in ("quick-create link"); a person there creates the stack. */
export const launchLink = ({ templateUrl, region }: Launch): string =>
  `https://console.aws.amazon.com/cloudformation/home${region === undefined ? '' : `?region=${encodeURIComponent(region)}`}` +
  `#/stacks/create/review?templateURL=${encodeURIComponent(templateUrl)}&stackName=${stackName}`;

export function parseTemplateUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const inS3 = url?.protocol === 'https:' && /(^|\.)s3[.-][a-z0-9.-]*amazonaws\.com$/.test(url.hostname);
  if (!inS3 || url.username !== '' || url.password !== '') {
    throw new InvalidInput(
      `Template URL '${encodeURI(text.slice(0, 120).toWellFormed())}' is not an https URL of S3, which is all that CloudFormation takes: for example https://acme-templates.s3.eu-west-1.amazonaws.com/acc_7Hq2.json.`,
    );
  }
  return url.href;
}

export function parseRegion(text: string): string {
  if (!/^[a-z]{2}(-[a-z]+)+-\d$/.test(text)) {
    throw new InvalidInput('The region is not one of AWS: it looks like eu-west-1.');
  }
  return text;
}
