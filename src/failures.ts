/**
 * Turns what AWS and Google answer into named failures. A failure that a person must mend is not retried by Temporal and
 * says whose it is and what to change; everything else is retried, as it may be gone in a minute.
 */
import { ApplicationFailure } from '@temporalio/common';
import { PayloadKeyUnavailable, type WrappedKey } from './codec/keys';
import {
  failureRules,
  isFailureType,
  type AccountId,
  type CopyProgress,
  type DestinationSettings,
  type FailureDetails,
  type FailureType,
  type RoleArn,
  type TableName,
} from './contract';
import {
  bucketRemedy,
  denialIn,
  isOfVendorRole,
  isOurs,
  keyRemedy,
  ourPolicyRemedy,
  putRemedy,
  trustRemedy,
  vendorPolicyRemedy,
  vendorRoleRemedy,
} from './aws-remedies';
import { unwrapPolicy, wrappingContext } from './dump/policies';
import { quotaRetryDelayMs, rateLimitRetryDelayMs, workerIdentityPatienceMs } from './timing';

/** A failure of {@link failureRules}. Never retried by Temporal: waiting and trying again is the dump's business. */
export function failure(type: FailureType, problem: string, remedy: string, cause?: unknown): ApplicationFailure {
  const details: FailureDetails = { problem, remedy };
  return ApplicationFailure.create({
    type,
    message: `${problem} ${whose[failureRules[type].mender]}: ${remedy}`,
    nonRetryable: true,
    details: [details],
    ...causeOf(cause),
  });
}

/** A copy's failure that waits for a person says what was achieved, so that the retry does not do it again. */
export function withCopyProgress(error: unknown, copyProgress: CopyProgress): unknown {
  if (!(error instanceof ApplicationFailure) || !isFailureType(error.type)) return error;
  const [details] = (error.details ?? []) as [FailureDetails?];
  return ApplicationFailure.fromError(error, { details: [{ ...details, copyProgress }] });
}

const whose = { customer: 'For the customer to mend', vendor: 'For us to mend', nobody: 'What follows' } as const;

/** A fault that is expected to pass. `retryDelayMs` overrides the retry policy's pace where the service asks for another. */
function transient(message: string, cause: unknown, retryDelayMs?: number): ApplicationFailure {
  return ApplicationFailure.create({
    type: 'Transient',
    message,
    nonRetryable: false,
    ...causeOf(cause),
    ...(retryDelayMs === undefined ? {} : { nextRetryDelay: retryDelayMs }),
  });
}

/** A store asks for a slower pace: whoever puts many at a time puts fewer. */
function slowDown(message: string, cause: unknown): ApplicationFailure {
  return ApplicationFailure.create({ type: 'SlowDown', message, nonRetryable: false, ...causeOf(cause) });
}

/**
 * The worker's own credentials, with which the chain of roles begins: it has none, or AWS does not take them. Where they
 * come from may renew them in a moment, so {@link lacksIdentity} is left to a person only after some time.
 * @param lackingMs - how long the worker has been lacking them
 */
export function workerIdentityFailure(error: unknown, vendorRoleArn: string, lackingMs: number): ApplicationFailure {
  const said = answerOf(error);
  const where = `[role=${vendorRoleArn}]`;
  const what = `${said.name}: ${said.message}`;
  if (unknownIdentityErrors.has(said.name) && !isOfClocks(said)) {
    return failure(
      'VendorRoleNotAssumable',
      `AWS does not take the worker's own credentials, with which it assumes the vendor role ${where}: ${what}.`,
      'give the worker valid AWS credentials; they may have been deleted or copied wrongly, or AWS_REGION is a region that our account has not enabled.',
      error,
    );
  }
  const problem = lackOfIdentity(said);
  if (problem === undefined) {
    return transient(
      `STS did not say who the worker is, before it assumes the vendor role ${where}: ${what}${clockHint(said)}`,
      error,
    );
  }
  const minutes = Math.floor(lackingMs / 60_000);
  return lackingMs < workerIdentityPatienceMs
    ? transient(`${problem} ${where}: ${what}. For us to mend where this goes on: ${identityRemedy}`, error)
    : failure('VendorRoleNotAssumable', `${problem} ${where}, for ${minutes} minutes: ${what}.`, identityRemedy, error);
}

/** Whether the worker has no valid credentials of its own, which may be renewed without anybody's help. */
export const lacksIdentity = (error: unknown): boolean => lackOfIdentity(answerOf(error)) !== undefined;

const identityRemedy =
  'renew the AWS credentials that the worker runs with, or mend what should renew them. A worker that has them from its environment or from a file reads them when it starts: restart it.';

/** STS API reference, "Common errors" and AssumeRoleWithWebIdentity, Errors; the SDK's chain of credential providers. */
function lackOfIdentity({ name }: Answer): string | undefined {
  if (/^(ExpiredToken(Exception)?|RequestExpired)$/.test(name)) {
    return "The worker's own AWS credentials have expired, with which it assumes the vendor role";
  }
  if (/^(Credentials|Token)?ProviderError$/.test(name)) {
    return 'The worker has no AWS credentials of its own, with which to assume the vendor role';
  }
  return /^(AccessDenied|InvalidIdentityToken|IDPRejectedClaim|IDPCommunicationError)(Exception)?$/.test(name)
    ? "The worker's own AWS credentials were refused to it, with which it assumes the vendor role"
    : undefined;
}

/** The first hop: the worker assumes the vendor role (STS API reference, "AssumeRole", Errors). */
export function vendorRoleFailure(error: unknown, vendorRoleArn: string): ApplicationFailure {
  const said = answerOf(error);
  const where = `[role=${vendorRoleArn}]`;
  if (isRefusal(said)) {
    return failure(
      'VendorRoleNotAssumable',
      `The worker may not assume the vendor role ${where}: ${said.message}.`,
      vendorRoleRemedy(vendorRoleArn),
      error,
    );
  }
  return (
    requestFailure(said, `the worker assumes the vendor role ${where}`, error) ??
    transient(`The worker could not assume the vendor role ${where}: ${said.message}${clockHint(said)}`, error)
  );
}

/** A request that STS takes from nobody: it is ours, and trying again does not change it. */
function requestFailure(said: Answer, hop: string, error: unknown): ApplicationFailure | undefined {
  const remedy = requestRemedies.get(said.name.replace(/Exception$/, ''));
  return remedy === undefined
    ? undefined
    : failure(
        'VendorSetUpRefused',
        `STS does not take the request with which ${hop}: ${said.name}: ${said.message}.`,
        remedy,
        error,
      );
}

const sessionPolicyRemedy =
  'the session policy that narrows a session to bucket and path is made by the program: report it as its mistake; a shorter and plainer --path may be taken.';

const requestRemedies: ReadonlyMap<string, string> = new Map([
  ['MalformedPolicyDocument', sessionPolicyRemedy],
  ['PackedPolicyTooLarge', sessionPolicyRemedy],
  [
    'RegionDisabled',
    "set the workers' AWS_REGION to a region that every account has, such as us-east-1, or have STS activated in it for the account of the role (IAM, Account settings).",
  ],
  [
    'ValidationError',
    "see what STS says above: connect again with the role's ARN as IAM shows it, or correct VENDOR_ROLE_ARN.",
  ],
]);

/**
 * The time of a signature is too far from AWS's (S3 API reference, "Error responses", RequestTimeTooSkewed; IAM user guide,
 * "Troubleshoot SigV4", signature expired or not yet current). Nobody's policy is wrong.
 */
const isOfClocks = ({ name, message }: Answer): boolean =>
  name === 'RequestTimeTooSkewed' || /^Signature (expired|not yet current)/.test(message);

const clockHint = (said: Answer): string =>
  isOfClocks(said) ? ". Where this goes on, the worker's clock is wrong: let its machine follow a time server" : '';

/** The key does not exist, or the secret is not that key's (IAM and STS API references, "Common errors"). */
const unknownIdentityErrors = new Set(['InvalidClientTokenId', 'SignatureDoesNotMatch']);

/** The second hop: the vendor role assumes the customer role, with the external id. */
export function customerRoleFailure(
  error: unknown,
  { accountId, roleArn, vendorRoleArn }: { accountId: AccountId; roleArn: RoleArn; vendorRoleArn: string },
): ApplicationFailure {
  // The hop before it failed, with a failure of its own.
  if (error instanceof ApplicationFailure) return error;
  const said = answerOf(error);
  const where = `[role=${roleArn} externalId=${accountId}]`;
  if (isRefusal(said)) {
    const denial = denialIn(said.message);
    const problem = `The vendor role may not assume the customer role ${where}: ${said.message}.`;
    return isOfVendorRole(denial)
      ? failure('VendorSetUpRefused', problem, vendorPolicyRemedy(denial, roleArn), error)
      : failure('RoleNotAssumable', problem, trustRemedy(accountId, vendorRoleArn), error);
  }
  return (
    requestFailure(said, `the vendor role assumes the customer role ${where}`, error) ??
    transient(`The vendor role could not assume the customer role ${where}: ${said.message}${clockHint(said)}`, error)
  );
}

/** A role that anybody with our vendor role's help could be led into: the external id is what stops that. */
export const roleIsOpen = (
  { accountId, settings: { roleArn } }: { accountId: AccountId; settings: Pick<DestinationSettings, 'roleArn'> },
  externalId: string | undefined,
): ApplicationFailure =>
  failure(
    'RoleOpen',
    `The customer role lets us in ${externalId === undefined ? 'without an external id' : 'with any external id'}, so it could be used for somebody else [role=${roleArn} externalId=${accountId}].`,
    `every statement of the role's trust policy that lets us in must have the condition ${JSON.stringify({ StringEquals: { 'sts:ExternalId': accountId } })}`,
  );

/** A failed PutObject (S3 API reference, "Error responses"), for which S3 may have asked KMS. */
export function putFailure(
  error: unknown,
  settings: Pick<DestinationSettings, 'bucket' | 'bucketOwner' | 'roleArn' | 'kmsKeyArn'>,
  key: string,
): ApplicationFailure {
  if (error instanceof ApplicationFailure) return error;
  const said = answerOf(error);
  const { bucket } = settings;
  const where = `[bucket=${bucket} key=${key}]`;
  const refused = (type: FailureType, remedy: string, what = 'S3 refused a put'): ApplicationFailure =>
    failure(type, `${what} ${where}: ${said.name}: ${said.message}.`, remedy, error);

  if (isRefusal(said) && /^Request (has expired|is not yet valid)/.test(said.message)) {
    return transient(
      `S3 took the put for too late ${where}: ${said.message}. Where this goes on, the clocks of Temporal and AWS differ`,
      error,
    );
  }
  if (isRefusal(said)) {
    const denial = denialIn(said.message);
    const [, action = 's3:PutObject'] = /perform: ([a-z0-9]+:\w+)/.exec(said.message) ?? [];
    if (isOurs(denial)) {
      return refused('VendorSetUpRefused', ourPolicyRemedy(denial, action, `arn:aws:s3:::${bucket}/${key}`));
    }
    return action.startsWith('kms:')
      ? refused('KmsDenied', keyRemedy(said.name, said.message, settings), kmsRefused)
      : refused('BucketAccessDenied', bucketRemedy(denial, settings));
  }
  if (said.name.startsWith('KMS.') && !passingKmsErrors.test(said.name)) {
    return refused('KmsDenied', keyRemedy(said.name, said.message, settings), kmsRefused);
  }
  if (said.name === 'NoSuchBucket') {
    return refused('BucketMissing', `create the bucket ${bucket}, or connect again with the bucket that is meant.`);
  }
  if (regionErrors.has(said.name)) {
    const region = bucketRegionIn(error);
    return region === undefined
      ? refused(
          'VendorSetUpRefused',
          `S3 does not say in which region the bucket is: set the workers' AWS_REGION to it. The customer sees it among the bucket's properties.`,
        )
      : transient(
          `S3 sends the put from region to region ${where}, now to ${region}: ${said.name}: ${said.message}`,
          error,
        );
  }
  const remedy = putRemedy(said.name, said.message);
  if (remedy !== undefined) return refused('PutRefused', remedy);
  if (slowDownErrors.test(said.name)) {
    return slowDown(`S3 asks for a slower pace ${where}: ${said.name}: ${said.message}`, error);
  }
  return transient(`Could not put ${where}: ${said.name}: ${said.message}${clockHint(said)}`, error);
}

const kmsRefused = 'KMS refused S3 the key for a put';

/** S3 user guide, "Best practices design patterns"; KMS counts its requests by the account, too (KMS developer guide). */
const slowDownErrors = /^(SlowDown|ServiceUnavailable|RequestLimitExceeded|(KMS\.)?ThrottlingException)$/;

/** KMS's own faults, which S3 hands on (KMS API reference, "Common errors" and GenerateDataKey, Errors). */
const passingKmsErrors = /Throttling|Internal|DependencyTimeout|LimitExceeded|KeyUnavailable/;

/** The bucket is in another region than was asked (S3 API reference, "Error responses"). */
const regionErrors: ReadonlySet<string> = new Set([
  'AuthorizationHeaderMalformed',
  'AuthorizationQueryParametersError',
  'IllegalLocationConstraintException',
  'PermanentRedirect',
]);

/**
 * Where S3 says that the bucket lives, if it says so: in `x-amz-bucket-region` beside a 301 (S3 user guide, "Making
 * requests"), in the answer's `Region` or, of a region that accounts must enable, in the message only.
 */
export function bucketRegionIn(error: unknown): string | undefined {
  const answer = error as { Region?: string; $response?: { headers?: Record<string, string> } } | undefined;
  const { name, message } = answerOf(error);
  const [, constraint] = /^The ([a-z]{2}(?:-[a-z]+)+-\d) location constraint is incompatible/.exec(message) ?? [];
  return (
    answer?.$response?.headers?.['x-amz-bucket-region'] ??
    answer?.Region ??
    (name === 'IllegalLocationConstraintException' ? constraint : undefined)
  );
}

/** What BigQuery says of a request or of a finished job (BigQuery documentation, "Error messages"). */
export function warehouseFailure(error: unknown, dataset: string, table?: TableName): ApplicationFailure {
  if (error instanceof ApplicationFailure) return error;
  const said = answerOf(error);
  const where = table === undefined ? `[dataset=${dataset}]` : `[table=${dataset}.${table}]`;
  const refused = (type: FailureType, remedy: string): ApplicationFailure =>
    failure(type, `BigQuery refused ${where}: ${said.message}.`, remedy, error);

  switch (said.reason) {
    case 'notFound':
      return refused(
        'TableMissing',
        'let the modelling run write the table, or take it off the list of tables with connect.',
      );
    case 'accessDenied':
      return refused('WarehouseAccessDenied', warehousePermissions(said.message, dataset));
    case 'billingNotEnabled':
      return refused('WarehouseAccessDenied', 'enable billing for the project of the jobs.');
    case 'quotaExceeded':
      return transient(`BigQuery's quota is used up ${where}: ${said.message}`, error, quotaRetryDelayMs);
    case 'rateLimitExceeded':
    case 'jobRateLimitExceeded':
      return transient(`BigQuery asks for a slower pace ${where}: ${said.message}`, error, rateLimitRetryDelayMs);
    case 'invalid':
    case 'invalidQuery':
      return /time travel|invalid snapshot time|cannot read before/i.test(said.message)
        ? refused('SnapshotExpired', 'the instant can no longer be read: send a newer run, which replaces this dump.')
        : refused('ExtractRefused', 'see what BigQuery says above; then retry.');
    default:
      return transient(`BigQuery did not do it ${where}: ${said.reason || said.name}: ${said.message}`, error);
  }
}

const give = "give the worker's Google identity";

/** What is missing, where Google says it, else all that is needed: docs/authorisation.md. */
function warehousePermissions(message: string, dataset: string): string {
  const [missing] = /\bbigquery\.(tables|jobs)\.\w+/.exec(message) ?? [];
  // Who inserts a job may also ask for it.
  if (missing === 'bigquery.jobs.get') {
    return `another Google identity began the job: ${give} ${missing} in the project of the jobs (roles/bigquery.resourceViewer), or send a newer run.`;
  }
  const onDataset = (permissions: string): string => `${permissions} on ${dataset} (roles/bigquery.dataViewer)`;
  const inProject = 'bigquery.jobs.create in the project of the jobs (roles/bigquery.jobUser)';
  if (missing === 'bigquery.jobs.create') return `${give} ${inProject}.`;
  if (missing !== undefined) return `${give} ${onDataset(missing)}.`;
  return `${give} ${onDataset('bigquery.tables.get and bigquery.tables.export')}, and ${inProject}.`;
}

/** What a finished job failed by. It writes with the rights of who inserted it. */
export function extractFailure(
  job: { readonly reason: string; readonly message: string },
  { dataset, table }: { readonly dataset: string; readonly table: TableName },
  stagingBucket: string,
): ApplicationFailure {
  if (job.reason !== 'accessDenied' || !/while writing|storage\.objects/.test(job.message)) {
    return warehouseFailure(job, dataset, table);
  }
  return failure(
    'StagingAccessDenied',
    `BigQuery may not write the table to the staging bucket [table=${dataset}.${table} bucket=${stagingBucket}]: ${answerOf(job).message}.`,
    `${give} storage.objects.create and storage.objects.delete on gs://${stagingBucket} (roles/storage.objectUser); no retention policy may hold for it.`,
    job,
  );
}

/** What Cloud Storage says (Cloud Storage documentation, "HTTP status and error codes for JSON"). */
export function stagingFailure(error: unknown, bucket: string, name?: string): ApplicationFailure {
  if (error instanceof ApplicationFailure) return error;
  const said = answerOf(error);
  const where = `[bucket=${bucket}${name === undefined ? '' : ` name=${name}`}]`;
  const refused = (type: FailureType, remedy: string): ApplicationFailure =>
    failure(type, `Cloud Storage refused ${where}: ${said.message}.`, remedy, error);

  if (said.status === 404) {
    return name === undefined
      ? refused('StagingBucketMissing', `create the staging bucket ${bucket}, or name another in STAGING_BUCKETS.`)
      : stagingFilesGone(bucket, name, error);
  }
  const isThrottled = /^(userR|r)ateLimitExceeded$|^quotaExceeded$/.test(said.reason);
  if ((said.status === 401 || said.status === 403) && !isThrottled) {
    return refused(
      'StagingAccessDenied',
      `${give} ${stagingPermissions(said.message)} on gs://${bucket} (roles/storage.objectUser).`,
    );
  }
  if (said.status === 429 || isThrottled) {
    return slowDown(`Cloud Storage asks for a slower pace ${where}: ${said.message}`, error);
  }
  return transient(`Cloud Storage did not answer as it should ${where}: ${said.message}`, error);
}

/** What is missing, where Google says it, else all that is needed: docs/authorisation.md. */
const stagingPermissions = (message: string): string =>
  /\bstorage\.objects\.\w+/.exec(message)?.[0] ??
  'storage.objects.create, storage.objects.get, storage.objects.list and storage.objects.delete';

/**
 * Shards of an extraction whose first shard the customer may already have cannot be made again: another extraction cuts
 * the table at other rows, and what is in the bucket cannot be deleted.
 */
export const stagingFilesGone = (bucket: string, name: string, cause?: unknown): ApplicationFailure =>
  failure(
    'StagingFilesGone',
    `Staged files are gone before they were copied [bucket=${bucket} name=${name}].`,
    'this dump cannot be completed and ends without a receipt; the next run delivers into a new folder.',
    cause,
  );

/**
 * A notice that its receiver did not take: every answer but 2xx, also a refusal, as a receiver that is being deployed or
 * mended refuses for a while. Path and query of the URL may be a secret: only its origin is named.
 */
export const noticeRefused = ({ origin }: URL, status: number): ApplicationFailure =>
  transient(`The receiver of notices at ${origin} answered ${status} instead of 2xx`, undefined);

/** A receiver of notices that could not be asked, or did not answer. */
export function noticeFailure(error: unknown, { origin }: URL): ApplicationFailure {
  // fetch says only that it failed; its cause says why.
  const cause = (error as { cause?: unknown }).cause ?? error;
  return transient(`The receiver of notices at ${origin} did not answer: ${answerOf(cause).message}`, cause);
}

/**
 * A payload key that KMS did not unwrap (KMS API reference, "Decrypt", Errors). For whoever starts a process: it is no
 * failure of a dump, as nothing runs without the key.
 */
export function payloadKeyFailure(error: unknown, { id, kmsKeyArn }: WrappedKey): PayloadKeyUnavailable {
  const said = answerOf(error);
  const [problem, remedy] = isRefusal(said) ? keyRefused(kmsKeyArn) : keyProblem(said);
  return new PayloadKeyUnavailable(
    `${problem} [payloadKey=${id} kmsKey=${kmsKeyArn}]: ${saidByKms(said)}. ${whose.vendor}: ${remedy}`,
    causeOf(error),
  );
}

type ProblemAndRemedy = readonly [problem: string, remedy: string];

const keyRefused = (kmsKeyArn: string): ProblemAndRemedy => [
  'KMS refuses to unwrap the payload key',
  `let the AWS identity that this process runs as have the policy ${JSON.stringify(unwrapPolicy(kmsKeyArn))}, and let the key's own policy not stand against it.`,
];

function keyProblem(said: Answer): ProblemAndRemedy {
  if (isOfClocks(said)) return ['KMS does not take the signature', 'let this machine follow a time server.'];
  if (credentialErrors.test(said.name)) {
    return [
      'KMS cannot be asked for the payload key without valid AWS credentials',
      'give this process an AWS identity; whatever reads the key file needs one.',
    ];
  }
  return (
    keyProblems[said.name] ?? [
      'KMS did not unwrap the payload key',
      'see to it that this machine reaches KMS in the region of the key, and start again.',
    ]
  );
}

const keyUnusable: ProblemAndRemedy = [
  'The KMS key of the payload key cannot be used',
  'enable it, or cancel its deletion.',
];

const keyProblems: Readonly<Record<string, ProblemAndRemedy>> = {
  DisabledException: keyUnusable,
  KMSInvalidStateException: keyUnusable,
  NotFoundException: ['There is no such KMS key', 'correct its ARN in the key file.'],
  IncorrectKeyException: ['Another KMS key has wrapped the payload key', 'correct the ARN in the key file.'],
  InvalidCiphertextException: [
    'KMS cannot unwrap the payload key',
    `copy its line anew: it was changed, or made without the encryption context purpose=${wrappingContext.purpose}.`,
  ],
  InvalidKeyUsageException: ['That KMS key unwraps no keys', 'make the line with a symmetric key for encryption.'],
};

/** Where KMS says no more than the name of the error, the SDK has no message. */
const saidByKms = ({ name, message }: Answer): string =>
  message === '' || message === 'UnknownError' ? name : `${name}: ${message}`;

/** None were found, or AWS does not take them (KMS API reference, "Common errors"). */
const credentialErrors =
  /^(CredentialsProviderError|UnrecognizedClientException|InvalidClientTokenId|InvalidSignatureException|ExpiredToken(Exception)?|IncompleteSignature|MissingAuthenticationToken(Exception)?)$/;

interface Answer {
  readonly name: string;
  readonly message: string;
  readonly status: number | undefined;
  /** Google's `errors[0].reason`, or a job's `errorResult.reason`. */
  readonly reason: string;
}

/** The few fields in which the vendors' error classes agree, read without trusting any of them. */
function answerOf(error: unknown): Answer {
  const fields = (typeof error === 'object' && error !== null ? error : {}) as Record<string, unknown>;
  const metadata = fields['$metadata'] as { httpStatusCode?: number } | undefined;
  const errors = fields['errors'] as { reason?: unknown; message?: unknown }[] | undefined;
  const first = Array.isArray(errors) ? errors[0] : undefined;
  const code = Number(fields['code'] ?? fields['status']);
  return {
    name: text(fields['name']) || 'Error',
    message: withoutSecrets(text(fields['message']) || text(first?.message) || String(error)).replace(/\.$/, ''),
    status: metadata?.httpStatusCode ?? (Number.isInteger(code) ? code : undefined),
    reason: text(fields['reason']) || text(first?.reason),
  };
}

const text = (value: unknown): string => (typeof value === 'string' ? value : '');

/**
 * Only an explicit refusal counts: a network fault is not a wrong policy. An expired or invalid token is a refusal of this
 * session, not of the role, and the next attempt has a new one.
 */
const isRefusal = ({ name }: Answer): boolean =>
  name === 'AccessDenied' || name === 'AccessDeniedException' || name === 'Forbidden';

/** Access key ids do turn up in AWS's messages; nothing of the kind may reach history, logs or the UI. */
export const withoutSecrets = (message: string): string =>
  message
    .replace(/\b(A3T[A-Z0-9]|AKIA|ASIA)[A-Z0-9]{12,}\b/g, '[access key id]')
    .replace(/(authorization\s*[=:]\s*).+/gi, '$1[removed]')
    .replace(/((?:secret|token|signature)[^=:\s]*\s*[=:]\s*)\S+/gi, '$1[removed]');

/** The cause's name and message only: Temporal would also keep its stack, whose first line repeats the raw message. */
function causeOf(error: unknown): { cause?: Error } {
  if (error === undefined) return {};
  const { name, message } = answerOf(error);
  const cause = new Error(message);
  cause.name = name;
  cause.stack = `${name}: ${message}`;
  return { cause };
}
