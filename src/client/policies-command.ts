/** `s3-destination policies`: what the customer sets up, ready-made. */
import { readVendorRoleArn } from '../config';
import { InvalidInput, parseAccountId, parseBucketName, parseKmsKeyArn, parsePath, parseRoleArn } from '../dump/inputs';
import {
  cloudFormationTemplate,
  launchLink,
  parseRegion,
  parseTemplateUrl,
  stackName,
} from '../dump/set-up/cloudformation';
import { lifecycle } from '../dump/set-up/lifecycle';
import { defaultExpireDays, defaultRoleName, roleTrust, type CustomerSetUp } from '../dump/set-up/set-up';
import { terraformModule } from '../dump/set-up/terraform';
import { kmsPolicy, permissionPolicy } from '../dump/policies';
import { withDestinations } from './destinations';
import { RequestFailed } from './request-failed';

export const policyFormats = ['json', 'cloudformation', 'terraform'] as const;

export interface PolicyOptions {
  readonly bucket?: string;
  readonly path?: string;
  readonly kmsKeyArn?: string;
  readonly vendorRoleArn?: string;
  readonly roleName?: string;
  readonly expireDays?: number;
  readonly existingBucket?: boolean;
  readonly format?: (typeof policyFormats)[number];
  readonly templateUrl?: string;
  readonly region?: string;
}

/** The documents go to standard output, so that they can be kept in a file; what to do with them to standard error. */
export async function printPolicies(account: string, options: PolicyOptions): Promise<void> {
  const { format = 'json' } = options;
  if (format !== 'cloudformation' && (options.templateUrl ?? options.region) !== undefined) {
    throw new InvalidInput('--template-url and --region are for --format cloudformation.');
  }
  const templateUrl = options.templateUrl === undefined ? undefined : parseTemplateUrl(options.templateUrl);
  const region = options.region === undefined ? undefined : parseRegion(options.region);
  const setUp = await readSetUp(account, options);
  if (format === 'json') return console.log(JSON.stringify(jsonDocuments(setUp), null, 2));
  if (format === 'terraform') return console.log(terraformModule(setUp));
  console.log(cloudFormationTemplate(setUp));
  for (const line of launchLines(setUp, templateUrl, region)) console.error(line);
}

async function readSetUp(account: string, options: PolicyOptions): Promise<CustomerSetUp> {
  const accountId = parseAccountId(account);
  const place = options.bucket === undefined ? await connectedPlace(account) : { bucket: options.bucket };
  const path = options.path ?? place.path;
  const kmsKeyArn = options.kmsKeyArn ?? place.kmsKeyArn;
  return {
    accountId,
    vendorRoleArn: parseRoleArn(options.vendorRoleArn ?? readVendorRoleArn()),
    roleName: parseRoleName(options.roleName ?? defaultRoleName),
    bucket: parseBucketName(place.bucket),
    ...(path === undefined || path === '' ? {} : { path: parsePath(path) }),
    ...(kmsKeyArn === undefined || kmsKeyArn === '' ? {} : { kmsKeyArn: parseKmsKeyArn(kmsKeyArn) }),
    expireDays: options.expireDays ?? defaultExpireDays,
    bucketExists: options.existingBucket === true,
  };
}

function parseRoleName(text: string): string {
  if (!/^[\w+=,.@-]{1,64}$/.test(text)) {
    throw new InvalidInput('The role name is malformed: IAM takes 1 to 64 letters, digits and + = , . @ _ -, no path.');
  }
  return text;
}

const jsonDocuments = (setUp: CustomerSetUp) => ({
  trustPolicy: roleTrust(setUp),
  permissionPolicy: permissionPolicy(setUp.bucket),
  ...(setUp.kmsKeyArn === undefined ? {} : { kmsPolicy: kmsPolicy(setUp.kmsKeyArn) }),
  lifecycle: lifecycle(setUp),
});

function launchLines({ bucketExists }: CustomerSetUp, templateUrl?: string, region?: string): string[] {
  const inRegion = region === undefined ? '' : ` --region ${region}`;
  const launch =
    templateUrl === undefined
      ? [
          `Launch it, kept as template.json: aws cloudformation deploy --stack-name ${stackName} --template-file template.json --capabilities CAPABILITY_NAMED_IAM${inRegion}`,
          'For a launch link put the template into an S3 bucket that the customer can read and give its URL with --template-url.',
        ]
      : [
          `Launch it, once it is at that URL: ${launchLink({ templateUrl, ...(region === undefined ? {} : { region }) })}`,
        ];
  return bucketExists
    ? [...launch, "A stack cannot set an existing bucket's lifecycle: apply `lifecycle` of --format json."]
    : launch;
}

interface Place {
  readonly bucket: string;
  readonly path?: string;
  readonly kmsKeyArn?: string;
}

async function connectedPlace(account: string): Promise<Place> {
  const { destination } = await withDestinations((destinations) => destinations.status(account));
  if (destination.settings === undefined)
    throw new RequestFailed(`Account ${account} is not connected: name the bucket with --bucket.`);
  return destination.settings;
}
