import { S3Client, type S3ClientConfig, PutObjectCommand } from '@aws-sdk/client-s3';
import {
  AssumeRoleCommand,
  GetCallerIdentityCommand,
  STSClient,
  type AssumeRoleCommandInput,
} from '@aws-sdk/client-sts';
import { SignatureV4 } from '@smithy/signature-v4';
import type { AccountId, AssumedRole, DestinationSettings, FolderName } from '../contract';
import { roleSessionName } from '../dump/keys';
import { denyAll, sessionPolicy } from '../dump/policies';
import { bucketRegionIn, customerRoleFailure, putFailure, vendorRoleFailure } from '../failures';
import { connectionTimes, smallRequestTimeoutMs } from '../timing';
import type { ByteSource } from './byte-source';
import { Connections } from './http/connections';
import { PreparedPuts, type CommonInput } from './prepared-puts';
import { BodyBroken, S3RequestHandler } from './s3-request-handler';
import { WorkerIdentity } from './worker-identity';

/** One customer's bucket, seen through the customer role: nothing can be done to it but put. */
export interface CustomerBucket {
  /**
   * Stores one object by one PutObject: it is there whole, or not at all. The object replaces one of the same key.
   * @throws ApplicationFailure of a named type where a person must mend something, else a retryable one.
   */
  put(object: PutObject, signal: AbortSignal): Promise<void>;
}

export interface PutObject {
  readonly key: string;
  readonly contentType: 'application/gzip' | 'application/json';
  readonly body: string | StreamedBody;
  /** S3 itself refuses the put outside of it, however late the request arrives. */
  readonly validity?: Validity;
}

/** Epoch milliseconds, whole seconds count. */
export interface Validity {
  readonly fromMs: number;
  readonly untilMs: number;
}

/** A body that is read while it is sent. */
export interface StreamedBody {
  /** Called again if the put must be sent again, for example to another region. What it throws is thrown as it is. */
  readonly open: () => Promise<ByteSource>;
  /** Names a failure to read it once it is open, which is not S3's. */
  readonly readFailure: (error: unknown) => Error;
}

/** Whom and where a session is for. */
export interface Delivery {
  readonly accountId: AccountId;
  readonly settings: DestinationSettings;
  /** Absent while a destination is being connected. */
  readonly folder?: FolderName;
}

export interface CustomerBuckets {
  /** Assumes the customer role anew. @throws ApplicationFailure `RoleNotAssumable`, `VendorRoleNotAssumable` */
  proveAccess(delivery: Delivery): Promise<AssumedRole>;
  /**
   * Whether the customer role lets us in with another external id than the customer's, or with none. Only an explicit
   * refusal is a no: every other failure is thrown.
   */
  letsIn(delivery: Delivery, externalId: string | undefined): Promise<boolean>;
  open(delivery: Delivery): CustomerBucket;
}

export interface S3CustomerBucketsOptions {
  readonly vendorRoleArn: string;
  /** The region of STS, and the first guess for a bucket's. */
  readonly region: string;
  /** For stores that do not answer at `bucket.host`. */
  readonly forcePathStyle: boolean;
}

type RequestSigner = Exclude<NonNullable<S3ClientConfig['signer']>, (...args: never[]) => unknown>;

/** A role chained from a role lives one hour at most (STS API reference, "AssumeRole", DurationSeconds). */
const sessionSeconds = 3600;

const ignore = (): void => {};
const silent = { trace: ignore, debug: ignore, info: ignore, warn: ignore, error: ignore };

/** One client per dump and region: more than a worker has in hand, few enough to forget old credentials. */
const cachedClientsMax = 64;

interface Session {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string;
  readonly expiration: Date;
}

/**
 * The customers' buckets on S3, reached by worker identity → vendor role → customer role. Sessions live in this process
 * only and are renewed by the SDK, which asks a credential provider again some minutes before its answer expires.
 */
export class S3CustomerBuckets implements CustomerBuckets {
  private readonly workerSts: STSClient;
  private readonly workerIdentity: WorkerIdentity;
  private vendorSts: STSClient;
  private readonly clients = new Map<string, CustomerClient>();
  private readonly regions = new Map<string, string>();
  private readonly requestHandler = new S3RequestHandler(new Connections(connectionTimes));

  private readonly clientConfig: S3ClientConfig;

  constructor(private readonly options: S3CustomerBucketsOptions) {
    this.clientConfig = {
      forcePathStyle: options.forcePathStyle,
      requestHandler: this.requestHandler,
      // A streamed body cannot be sent twice, and Temporal retries the rest at its own pace.
      maxAttempts: 1,
      // What the SDK would warn of is thrown as well, and named then.
      logger: silent,
    };
    this.workerSts = new STSClient(this.stsConfig);
    this.workerIdentity = new WorkerIdentity(() => this.askWorkerArn(), options.vendorRoleArn);
    this.vendorSts = this.createVendorSts();
  }

  private get stsConfig() {
    return {
      region: this.options.region,
      requestHandler: { requestTimeout: smallRequestTimeoutMs, throwOnRequestTimeout: true },
    };
  }

  private createVendorSts(): STSClient {
    return new STSClient({ ...this.stsConfig, credentials: () => this.vendorCredentials() });
  }

  async proveAccess(delivery: Delivery): Promise<AssumedRole> {
    const { session, assumedRoleArn } = await this.assumeCustomerRole(delivery);
    return {
      assumedRoleArn,
      awsAccountId: delivery.settings.roleArn.split(':')[4] ?? '',
      expiresAt: session.expiration.toISOString(),
    };
  }

  async letsIn(
    { accountId, settings: { roleArn }, folder }: Delivery,
    externalId: string | undefined,
  ): Promise<boolean> {
    try {
      await assumeRole(this.vendorSts, {
        RoleArn: roleArn,
        RoleSessionName: roleSessionName(accountId, folder),
        ...(externalId === undefined ? {} : { ExternalId: externalId }),
        // Nobody shall do anything with it.
        Policy: JSON.stringify(denyAll),
      });
      return true;
    } catch (error) {
      if (error instanceof Error && error.name === 'AccessDenied') return false;
      throw customerRoleFailure(error, { accountId, roleArn, vendorRoleArn: this.options.vendorRoleArn });
    }
  }

  open(delivery: Delivery): CustomerBucket {
    return { put: (object, signal) => this.put(delivery, object, signal) };
  }

  private async put(delivery: Delivery, object: PutObject, signal: AbortSignal): Promise<void> {
    const { bucket } = delivery.settings;
    const asked = this.regions.get(bucket) ?? this.options.region;
    try {
      await this.putIn(asked, delivery, object, signal).catch((error: unknown) => {
        const region = bucketRegionIn(error);
        if (region === undefined || region === asked) throw error;
        this.regions.set(bucket, region);
        return this.putIn(region, delivery, object, signal);
      });
    } catch (error) {
      if (isCancelled(signal)) throw error;
      if (isOfSession(error)) this.forgetSessions(delivery);
      throw putFailure(error, delivery.settings, object.key);
    }
  }

  private async putIn(region: string, delivery: Delivery, object: PutObject, signal: AbortSignal): Promise<void> {
    const { key, contentType, body, validity } = object;
    const customerClient = this.clientFor(delivery, region);
    if (typeof body !== 'string') return putStreamed(customerClient, key, body, signal);
    const client = validity === undefined ? customerClient.s3 : this.clientWithin(validity, customerClient.s3, region);
    const small = { ...commonInput(delivery, contentType), Key: key, Body: body, ChecksumAlgorithm: 'CRC32C' as const };
    await client.send(new PutObjectCommand(small), { abortSignal: signal });
  }

  private clientFor(delivery: Delivery, region: string): CustomerClient {
    const cacheKey = JSON.stringify([...sessionOf(delivery), region]);
    const client = this.clients.get(cacheKey) ?? this.newClient(delivery, region);
    this.clients.delete(cacheKey);
    this.clients.set(cacheKey, client);
    const [oldest] = this.clients.keys();
    if (this.clients.size > cachedClientsMax && oldest !== undefined) this.clients.delete(oldest);
    return client;
  }

  private newClient(delivery: Delivery, region: string): CustomerClient {
    const credentials = async (): Promise<Session> => (await this.assumeCustomerRole(delivery)).session;
    const s3 = new S3Client({ ...this.clientConfig, region, credentials });
    return { s3, shards: new PreparedPuts(s3, this.requestHandler, commonInput(delivery, 'application/gzip')) };
  }

  private clientWithin(validity: Validity, { config: { credentials, sha256 } }: S3Client, region: string): S3Client {
    const signer = new SignatureV4({ credentials, sha256, region, service: 's3', uriEscapePath: false });
    return new S3Client({ ...this.clientConfig, region, credentials, signer: signerWithin(signer, validity) });
  }

  /** A session that was revoked stays so until it expires; a new one may be let in. */
  private forgetSessions(delivery: Delivery): void {
    const session = JSON.stringify(sessionOf(delivery)).slice(0, -1);
    for (const cacheKey of this.clients.keys()) if (cacheKey.startsWith(session)) this.clients.delete(cacheKey);
  }

  private async assumeCustomerRole({ accountId, settings, folder }: Delivery): Promise<AssumedSession> {
    const { vendorRoleArn } = this.options;
    const { roleArn } = settings;
    try {
      return await assumeRole(this.vendorSts, {
        RoleArn: roleArn,
        RoleSessionName: roleSessionName(accountId, folder),
        ExternalId: accountId,
        Policy: JSON.stringify(sessionPolicy(settings)),
      });
    } catch (error) {
      if (isOfSession(error)) this.vendorSts = this.createVendorSts();
      throw customerRoleFailure(error, { accountId, roleArn, vendorRoleArn });
    }
  }

  /** The vendor role's session; where the worker already runs as the vendor role, its own. */
  private async vendorCredentials(): Promise<Session | Awaited<ReturnType<typeof this.workerSts.config.credentials>>> {
    const { vendorRoleArn } = this.options;
    if (isSessionOf(await this.workerIdentity.arn(), vendorRoleArn)) return this.workerSts.config.credentials();
    try {
      return (await assumeRole(this.workerSts, { RoleArn: vendorRoleArn, RoleSessionName: 's3-destination' })).session;
    } catch (error) {
      throw vendorRoleFailure(error, vendorRoleArn);
    }
  }

  /** GetCallerIdentity needs no permission, whatever the identity's policies say (STS API reference). */
  private async askWorkerArn(): Promise<string> {
    return (await this.workerSts.send(new GetCallerIdentityCommand({}))).Arn ?? '';
  }
}

/** What a session of the customer role is for: dumps do not share one. */
const sessionOf = ({ accountId, settings, folder }: Delivery): unknown[] => [accountId, settings, folder];

/** A session's client, and what it has prepared. */
interface CustomerClient {
  readonly s3: S3Client;
  readonly shards: PreparedPuts;
}

const commonInput = ({ settings }: Delivery, contentType: PutObject['contentType']): CommonInput => ({
  Bucket: settings.bucket,
  ContentType: contentType,
  ACL: 'bucket-owner-full-control',
  ExpectedBucketOwner: settings.bucketOwner,
  ...(settings.kmsKeyArn === undefined ? {} : { ServerSideEncryption: 'aws:kms', SSEKMSKeyId: settings.kmsKeyArn }),
});

async function putStreamed(
  { shards }: CustomerClient,
  key: string,
  { open, readFailure }: StreamedBody,
  signal: AbortSignal,
): Promise<void> {
  const source = await open();
  try {
    await shards.put(key, source, signal);
  } catch (error) {
    throw error instanceof BodyBroken && !signal.aborted ? readFailure(error.cause) : error;
  } finally {
    source.destroy();
  }
}

/**
 * Signs in the query string instead of a header: there S3 takes an instant after which it refuses the request (S3 API
 * reference, "Authenticating requests: using query parameters").
 */
const signerWithin = (signer: SignatureV4, { fromMs, untilMs }: Validity): RequestSigner => ({
  sign: (request) =>
    signer.presign(
      { ...request, headers: { ...request.headers, 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' } },
      {
        signingDate: new Date(fromMs),
        expiresIn: Math.floor((untilMs - fromMs) / 1000),
        unhoistableHeaders: new Set(Object.keys(request.headers).map((name) => name.toLowerCase())),
      },
    ),
});

/** Whether `arn:aws:sts::ACCOUNT:assumed-role/NAME/SESSION` is a session of `arn:aws:iam::ACCOUNT:role/[PATH/]NAME`. */
export function isSessionOf(identityArn: string, roleArn: string): boolean {
  const [, , , , identityAccount, identity = ''] = identityArn.split(':');
  const [, , , , roleAccount, role = ''] = roleArn.split(':');
  const [kind, name] = identity.split('/');
  return kind === 'assumed-role' && identityAccount === roleAccount && name === role.split('/').at(-1);
}

interface AssumedSession {
  readonly session: Session;
  readonly assumedRoleArn: string;
}

async function assumeRole(sts: STSClient, input: AssumeRoleCommandInput): Promise<AssumedSession> {
  const { Credentials, AssumedRoleUser } = await sts.send(
    new AssumeRoleCommand({ DurationSeconds: sessionSeconds, ...input }),
  );
  const { AccessKeyId, SecretAccessKey, SessionToken, Expiration } = Credentials ?? {};
  if (!AccessKeyId || !SecretAccessKey || !SessionToken || !Expiration || !AssumedRoleUser?.Arn) {
    throw new Error(`STS answered AssumeRole for ${input.RoleArn ?? ''} without credentials`);
  }
  return {
    session: {
      accessKeyId: AccessKeyId,
      secretAccessKey: SecretAccessKey,
      sessionToken: SessionToken,
      expiration: Expiration,
    },
    assumedRoleArn: AssumedRoleUser.Arn,
  };
}

/** Whether another session may be answered otherwise (S3 and STS API references, "Error responses", "Common errors"). */
const isOfSession = (error: unknown): boolean => error instanceof Error && sessionErrors.has(error.name);

const sessionErrors: ReadonlySet<string> = new Set([
  'AccessDenied',
  'ExpiredToken',
  'ExpiredTokenException',
  'InvalidAccessKeyId',
  'InvalidClientTokenId',
  'InvalidToken',
  'TokenRefreshRequired',
]);

/** A request that ran out of time has failed; one that was cancelled has not. */
const isCancelled = ({ aborted, reason }: AbortSignal): boolean =>
  aborted && !(reason instanceof Error && reason.name === 'TimeoutError');
