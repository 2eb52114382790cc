/**
 * What the client, the workflows and the activities agree on: names, identifiers, settings, states and failure types.
 * Pure data, no I/O: the workflow sandbox loads it too.
 */

declare const brand: unique symbol;
type Brand<Name extends string> = string & { readonly [brand]: Name };

/** A customer's account id in the vendor's system. It is also the external id of every AssumeRole call for that customer. */
export type AccountId = Brand<'AccountId'>;
/** A customer role, `arn:aws:iam::<12 digits>:role/<name>`. */
export type RoleArn = Brand<'RoleArn'>;
/** Twelve digits. */
export type AwsAccountId = Brand<'AwsAccountId'>;
/** An S3 bucket's name (not its ARN). */
export type BucketName = Brand<'BucketName'>;
/** A KMS key, `arn:aws:kms:<region>:<12 digits>:key/<id>`. */
export type KmsKeyArn = Brand<'KmsKeyArn'>;
/** What every key begins with, without a slash at either end. */
export type BucketPath = Brand<'BucketPath'>;
/** `project.dataset` */
export type DatasetName = Brand<'DatasetName'>;
export type TableName = Brand<'TableName'>;
/** A dump's folder: its start in UTC to the minute, `2023-01-02T15:04`. */
export type FolderName = Brand<'FolderName'>;

/**
 * Light work and workflows go to `control`, bytes to `copy`, so that either can be scaled alone. What waits for others has
 * a queue of its own, so that it fills no other queue's slots: extracts, which wait for BigQuery, and notices, whose
 * receiver may hang. Only workers that know a receiver are asked for notices.
 */
export const taskQueues = {
  control: 's3-destination-control',
  extract: 's3-destination-extract',
  copy: 's3-destination-copy',
  notice: 's3-destination-notice',
} as const;

export const destinationWorkflowId = (accountId: AccountId): string => `destination/${accountId}`;

export const dumpWorkflowId = (accountId: AccountId, folder: FolderName): string => `dump/${accountId}/${folder}`;

/** Also the id that a receiver knows a notice by. Holds no full stop: the signed text is cut at full stops. */
export const noticeWorkflowId = (accountId: AccountId, occasion: NoticeOccasion, number: number): string =>
  `notice/${accountId}/${occasion}/${number}`;

/** What a notice comes of: a dump, or what a check of access found in this minute. */
export type NoticeOccasion = FolderName | `access-${FolderName}`;

/** The Temporal Schedule of the namespace that has every destination check its access, and the workflow that it starts. */
export const accessRound = { scheduleId: 's3-destination-access-round', workflowId: 'access-round' } as const;

/**
 * Whom a workflow works for and, for a dump, in which folder: read from the workflow's own id. The external id comes from
 * here and from nowhere else: no input can name another customer (the confused deputy). Whoever may start workflows may
 * give them any id, so only ids that the functions above make of accepted accounts are taken.
 */
export function identityOfWorkflow(workflowId: string): { accountId: AccountId; folder?: FolderName } {
  const [, kind, accountId, folder] = workflowIdPattern.exec(workflowId) ?? [];
  if (accountId === undefined || (kind === 'dump') !== (folder !== undefined)) {
    throw new Error(`Workflow id '${workflowId}' is not of the form destination/<account> or dump/<account>/<folder>`);
  }
  return { accountId: accountId as AccountId, ...(folder === undefined ? {} : { folder: folder as FolderName }) };
}

const workflowIdPattern = /^(destination|dump)\/([\w-]{2,47})(?:\/(\d{4}-\d\d-\d\dT\d\d:\d\d))?$/;

export function identityOfDump(workflowId: string): { accountId: AccountId; folder: FolderName } {
  const { accountId, folder } = identityOfWorkflow(workflowId);
  if (folder === undefined) throw new Error(`Workflow '${workflowId}' is not a dump`);
  return { accountId, folder };
}

/** Where a customer's tables go. Held by the customer's destination workflow: there is no other store of settings. */
export interface DestinationSettings {
  readonly roleArn: RoleArn;
  readonly bucket: BucketName;
  /** The account that must own the bucket: S3 refuses a put to anybody else's. */
  readonly bucketOwner: AwsAccountId;
  readonly path?: BucketPath;
  /** The key that every object is encrypted with; without it the bucket's default decides. */
  readonly kmsKeyArn?: KmsKeyArn;
  readonly tables: readonly TableName[];
}

/** A successful run of the data-modelling pipeline. */
export interface ModellingRun {
  readonly runId: string;
  /** RFC 3339. The instant that every table of the dump is read at. */
  readonly finishedAt: string;
  readonly dataset: DatasetName;
}

/** Who is asked to do something about a failure. */
export type Mender = 'customer' | 'vendor' | 'nobody';

interface FailureRule {
  readonly mender: Mender;
  /**
   * What the dump does about it: `retries-hourly` waits for a person and also tries by itself every hour (customers mend
   * access without telling anyone), `waits` waits for a person, `ends` ends the dump.
   */
  readonly dump: 'retries-hourly' | 'waits' | 'ends';
}

/** Every failure that Temporal does not retry by itself. The README has a row for each. */
export const failureRules = {
  RoleNotAssumable: { mender: 'customer', dump: 'retries-hourly' },
  VendorRoleNotAssumable: { mender: 'vendor', dump: 'retries-hourly' },
  VendorSetUpRefused: { mender: 'vendor', dump: 'retries-hourly' },
  RoleOpen: { mender: 'customer', dump: 'retries-hourly' },
  BucketAccessDenied: { mender: 'customer', dump: 'retries-hourly' },
  BucketMissing: { mender: 'customer', dump: 'retries-hourly' },
  KmsDenied: { mender: 'customer', dump: 'retries-hourly' },
  PutRefused: { mender: 'customer', dump: 'retries-hourly' },
  WarehouseAccessDenied: { mender: 'vendor', dump: 'retries-hourly' },
  StagingAccessDenied: { mender: 'vendor', dump: 'retries-hourly' },
  StagingBucketMissing: { mender: 'vendor', dump: 'waits' },
  StagingLocationNotConfigured: { mender: 'vendor', dump: 'waits' },
  TableMissing: { mender: 'vendor', dump: 'waits' },
  TableNotExtractable: { mender: 'vendor', dump: 'waits' },
  ExtractRefused: { mender: 'vendor', dump: 'waits' },
  SnapshotExpired: { mender: 'vendor', dump: 'waits' },
  ShardTooLarge: { mender: 'vendor', dump: 'waits' },
  StagingFilesGone: { mender: 'nobody', dump: 'ends' },
  Superseded: { mender: 'nobody', dump: 'ends' },
  Abandoned: { mender: 'nobody', dump: 'ends' },
} as const satisfies Record<string, FailureRule>;

export type FailureType = keyof typeof failureRules;

export const isFailureType = (type: string | null | undefined): type is FailureType =>
  type !== null && type !== undefined && Object.hasOwn(failureRules, type);

/** What an activity's failure carries beside its message. */
export interface FailureDetails {
  /** What failed, without what to do about it. */
  readonly problem: string;
  /** What exactly to change. May hold a policy statement. */
  readonly remedy: string;
  /** What a copy had achieved when it failed: a person's retry is another activity, which does not see this one's heartbeat. */
  readonly copyProgress?: CopyProgress;
}

/** A failure as it is shown to people. */
export interface Fault {
  readonly type: FailureType;
  /** What failed. */
  readonly problem: string;
  readonly mender: Mender;
  /** What exactly to change. */
  readonly remedy: string;
  readonly retriesHourly: boolean;
}

/** Where a table's shards wait between BigQuery and the customer's bucket. */
export interface StagedTable {
  readonly stagingBucket: string;
  /** Ends with a slash. Holds this extraction's shards and schema, nothing else. */
  readonly stagingPrefix: string;
  readonly shardCount: number;
  readonly sizeBytes: number;
}

/** Shards `first … first + count - 1` of a table. */
export interface ShardRange {
  readonly first: number;
  readonly count: number;
}

/** What a copy has achieved so far; also its heartbeat, so that a retry skips the shards that are done. */
export interface CopyProgress {
  readonly table: TableName;
  readonly doneShards: readonly number[];
  readonly doneBytes: number;
}

export type TableProgress =
  | { readonly state: 'waiting' }
  | { readonly state: 'extracting' }
  | { readonly state: 'copying'; readonly copied: Copied; readonly total: Copied; readonly since: CopiedAt }
  | { readonly state: 'uploading schema'; readonly total: Copied }
  | { readonly state: 'delivered'; readonly total: Copied }
  | { readonly state: 'needs attention'; readonly fault: Fault; readonly copied: Copied; readonly total?: Copied };

export interface Copied {
  readonly shards: number;
  readonly bytes: number;
}

/** Where and when a copy began, or was begun again: its rate is counted from there. */
export interface CopiedAt extends Copied {
  readonly atMs: number;
}

/** How a dump ends. */
export type EndState = 'Delivered' | 'Failed' | 'Cancelled' | 'Superseded' | 'Abandoned';

/** A dump's values of the search attribute {@link searchAttributeNames.state}. */
export type DumpState = 'Running' | 'NeedsAttention' | EndState;

export interface DumpStatus {
  readonly accountId: AccountId;
  readonly folder: FolderName;
  readonly run: ModellingRun;
  readonly state: DumpState;
  /** What the dump does that is not about one table: `assume role`, `commit receipt`, `clear staging` … */
  readonly step: string;
  readonly stepFault?: Fault;
  readonly tables: Readonly<Record<string, TableProgress>>;
  /** Why staging was not cleared, if it was not: it is left to the bucket's lifecycle rule. */
  readonly stagingLeft?: string;
  /** Answers to messages that could not be followed, newest last. */
  readonly notes: readonly string[];
}

/** How a dump ended. */
export type DumpOutcome =
  | {
      readonly outcome: 'delivered';
      readonly folder: FolderName;
      readonly runId: string;
      readonly total: Copied;
      readonly receiptKey: string;
    }
  | {
      readonly outcome: 'failed' | 'cancelled' | 'superseded' | 'abandoned';
      readonly folder: FolderName;
      readonly runId: string;
      readonly reason: string;
    };

/** What a notice is about: one table, or a step that is about all of them. */
export type NoticeSubject = { readonly table: TableName } | { readonly step: string };

export type NoticeFault = NoticeSubject & Fault;

/** What a receiver is told. The README describes each. */
export type NoticeEvent = DumpEvent | AccessEvent;

export type DumpEvent =
  | { readonly type: 'dump.needs-attention'; readonly faults: readonly NoticeFault[] }
  | { readonly type: 'dump.recovered' }
  | { readonly type: 'dump.delivered'; readonly receiptKey: string; readonly total: Copied }
  | {
      readonly type: 'dump.failed' | 'dump.cancelled' | 'dump.superseded' | 'dump.abandoned';
      readonly reason: string;
    };

/** What a check of access tells that nobody waits for. */
export type AccessEvent =
  | { readonly type: 'destination.access-refused'; readonly fault: Omit<Fault, 'retriesHourly'> }
  | { readonly type: 'destination.access-restored' };

/** Shaped as the Standard Webhooks specification recommends: `type`, `timestamp`, `data`. */
export interface Notice {
  readonly type: NoticeEvent['type'];
  /** RFC 3339. When it happened, not when it is told. */
  readonly timestamp: string;
  readonly data: { readonly account: AccountId } & Readonly<Record<string, unknown>>;
}

/**
 * What a destination is about or, where it is idle, how its last dump ended: its value of the search attribute
 * {@link searchAttributeNames.state}. `Waiting`: nothing was delivered yet, or a run waits for its minute.
 */
export type DestinationState = 'NotConnected' | 'Paused' | 'AccessRefused' | 'Waiting' | 'Delivering' | EndState;

/** What the last proof of access said, or the one that is going on. */
export type AccessCheck =
  /** Refused so far; a new role or policy takes seconds to take effect. */
  | { readonly state: 'checking'; readonly attempt: number; readonly fault: Fault }
  | { readonly state: 'passed'; readonly at: string }
  /** Without a fault where something was in the way that may pass. */
  | { readonly state: 'failed'; readonly at: string; readonly problem: string; readonly fault?: Fault };

export interface DestinationStatus {
  readonly accountId: AccountId;
  readonly state: DestinationState;
  readonly settings?: DestinationSettings;
  readonly paused: boolean;
  readonly access?: AccessCheck;
  /** Shown from when Temporal has started it, so that it can be asked; the state is `Delivering` a moment before. */
  readonly currentDump?: { readonly workflowId: string; readonly folder: FolderName; readonly runId: string };
  /** Waits for its turn: for the current dump to end, for `resume`, or for the next minute. */
  readonly pendingRun?: ModellingRun;
  /** The newest run that was ever announced, delivered or not. */
  readonly newestRun?: ModellingRun;
  /** Newest last. */
  readonly recentDumps: readonly DumpOutcome[];
  readonly notes: readonly string[];
}

/** What proves that the customer role can be assumed. Holds nothing that must not be seen. */
export interface AssumedRole {
  readonly assumedRoleArn: string;
  readonly awsAccountId: string;
  readonly expiresAt: string;
}

export const searchAttributeNames = {
  account: 'S3DestinationAccount',
  state: 'S3DestinationState',
  run: 'S3DestinationRun',
} as const;
