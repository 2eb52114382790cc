/** The only reader of the environment. What is missing or malformed is named at start, not found out by a dump. */
import { loadClientConnectConfig, type ClientConnectConfig } from '@temporalio/envconfig';
import type { WorkerDeploymentVersion } from '@temporalio/common';
import type { TimeOfDay } from './access-schedule';
import { readKeyFile, type KeyFile } from './codec/keys';
import type { CodecServerSettings } from './codec/server';
import { InvalidInput, parseRoleArn } from './dump/inputs';
import { defaultVendorRoleArn } from './dump/policies';
import type { GoogleEndpoints } from './stores/google-clients';
import type { WebhookSettings } from './stores/webhook';

export type Environment = Readonly<Record<string, string | undefined>>;

export interface WorkerConfig {
  readonly vendorRoleArn: string;
  /** The region of STS, and the first guess for a bucket's. */
  readonly awsRegion: string;
  readonly s3ForcePathStyle: boolean;
  /** The project that extract jobs run in; absent, the one of the worker's Google credentials. */
  readonly googleProject: string | undefined;
  readonly googleEndpoints: GoogleEndpoints;
  /** Staging bucket by BigQuery location, upper case. */
  readonly stagingBucketByLocation: ReadonlyMap<string, string>;
  /** `copyShards` activities at a time in this process. */
  readonly copyActivities: number;
  /** Shards that this process streams side by side, where they are small. */
  readonly shardsInFlight: number;
  /** For the bytes of all shards that the worker streams; absent, as fast as it goes. */
  readonly copyBandwidthMBPerSecond: number | undefined;
  /** For the buffers of all shards that the worker streams; absent, what the shards in flight need. */
  readonly copyMemoryMB: number | undefined;
  /** When every destination checks its access, each day; absent, by request only. */
  readonly accessCheckAt: TimeOfDay | undefined;
  /** Where notices go; absent, there are none. */
  readonly notices: WebhookSettings | undefined;
  /** Which version of which Worker Deployment this is; absent, the worker is not versioned. */
  readonly deploymentVersion: WorkerDeploymentVersion | undefined;
  /** Whether to load the prebuilt workflow bundle. */
  readonly production: boolean;
}

export function readWorkerConfig(env: Environment = process.env): WorkerConfig {
  return {
    vendorRoleArn: readVendorRoleArn(env),
    awsRegion: given(env, 'AWS_REGION') ?? 'us-east-1',
    s3ForcePathStyle: setting(env, 'S3_FORCE_PATH_STYLE', parseFlag, 'false'),
    googleProject: given(env, 'GOOGLE_CLOUD_PROJECT'),
    googleEndpoints: { bigquery: given(env, 'BIGQUERY_ENDPOINT'), storage: given(env, 'STORAGE_ENDPOINT') },
    stagingBucketByLocation: setting(env, 'STAGING_BUCKETS', parseStagingBuckets),
    copyActivities: setting(env, 'COPY_ACTIVITIES', parseCount, '8'),
    shardsInFlight: setting(env, 'COPY_SHARDS_IN_FLIGHT', parseCount, '32'),
    copyBandwidthMBPerSecond: optional(env, 'COPY_BANDWIDTH_MB_PER_SECOND', parseAmount),
    copyMemoryMB: optional(env, 'COPY_MEMORY_MB', parseAmount),
    accessCheckAt: setting(env, 'ACCESS_CHECK_AT', parseTimeOrOff, '04:00'),
    notices: readNotices(env),
    deploymentVersion: readDeploymentVersion(env),
    production: env['NODE_ENV'] === 'production',
  };
}

/** The settings by which `processes` together keep to what is set for their worker. */
export function copyingShare(processes: number, env: Environment = process.env): Record<string, string> {
  const { copyBandwidthMBPerSecond, copyMemoryMB } = readWorkerConfig(env);
  const share = (amount: number): string => (amount / processes).toFixed(6);
  return {
    ...(copyBandwidthMBPerSecond === undefined
      ? {}
      : { COPY_BANDWIDTH_MB_PER_SECOND: share(copyBandwidthMBPerSecond) }),
    ...(copyMemoryMB === undefined ? {} : { COPY_MEMORY_MB: share(copyMemoryMB) }),
  };
}

/**
 * Temporal's own variables (`TEMPORAL_ADDRESS`, `TEMPORAL_NAMESPACE`, `TEMPORAL_API_KEY`, `TEMPORAL_TLS_*`,
 * `TEMPORAL_PROFILE` …) and configuration file.
 */
export const readTemporalConfig = (): ClientConnectConfig => loadClientConnectConfig();

/** What payloads are encrypted with, by workers and clients alike; absent, they are plain. */
export const readPayloadKeyFile = (env: Environment = process.env): KeyFile | undefined =>
  optional(env, 'PAYLOAD_KEY_FILE', readKeyFile);

export interface CodecServerConfig extends CodecServerSettings {
  readonly keyFile: KeyFile;
}

export function readCodecServerConfig(env: Environment = process.env): CodecServerConfig {
  const host = setting(env, 'CODEC_SERVER_HOST', parseHost, '127.0.0.1');
  // Whoever reaches the port can have everything decrypted.
  const reachable = !loopback.has(host);
  return {
    keyFile: setting(env, 'PAYLOAD_KEY_FILE', readKeyFile),
    host,
    port: setting(env, 'CODEC_SERVER_PORT', parsePort, '8234'),
    origin: setting(env, 'CODEC_SERVER_ORIGIN', parseOrigin),
    token:
      reachable || given(env, 'CODEC_SERVER_TOKEN') !== undefined
        ? setting(env, 'CODEC_SERVER_TOKEN', parseToken)
        : undefined,
  };
}

const loopback: ReadonlySet<string> = new Set(['127.0.0.1', '::1', 'localhost']);

/** Named as Temporal's Worker Controller for Kubernetes sets them. The deployment's name may hold no dot. */
function readDeploymentVersion(env: Environment): WorkerDeploymentVersion | undefined {
  if (given(env, 'TEMPORAL_WORKER_BUILD_ID') === undefined) return undefined;
  return {
    deploymentName: setting(env, 'TEMPORAL_DEPLOYMENT_NAME', parseDeploymentName, 's3-destination'),
    buildId: setting(env, 'TEMPORAL_WORKER_BUILD_ID', parseBuildId),
  };
}

/** One without the other is a mistake that would show only when a notice is missed. */
function readNotices(env: Environment): WebhookSettings | undefined {
  if (given(env, 'NOTICE_URL') === undefined && given(env, 'NOTICE_SECRET') === undefined) return undefined;
  return {
    url: setting(env, 'NOTICE_URL', parseNoticeUrl),
    secret: setting(env, 'NOTICE_SECRET', parseNoticeSecret),
  };
}

/** The role that customers trust. */
export const readVendorRoleArn = (env: Environment = process.env): string =>
  setting(env, 'VENDOR_ROLE_ARN', parseRoleArn, defaultVendorRoleArn);

/** An empty variable is as good as none. */
const given = (env: Environment, name: string): string | undefined => env[name] || undefined;

function setting<T>(env: Environment, name: string, parse: (value: string) => T, byDefault?: string): T {
  const value = given(env, name) ?? byDefault;
  if (value === undefined) throw new InvalidInput(`The setting ${name} is missing from the environment.`);
  try {
    return parse(value);
  } catch (error) {
    throw new InvalidInput(`The setting ${name} cannot be used: ${(error as Error).message}`);
  }
}

const optional = <T>(env: Environment, name: string, parse: (value: string) => T): T | undefined =>
  given(env, name) === undefined ? undefined : setting(env, name, parse);

/** `EU=acme-staging-eu,US=acme-staging-us`. Bucket naming rules of the Cloud Storage documentation. */
function parseStagingBuckets(text: string): Map<string, string> {
  const buckets = new Map<string, string>();
  for (const entry of text.split(',')) {
    const [, location, bucket] = /^\s*([A-Za-z0-9-]+)\s*=\s*([a-z0-9][a-z0-9._-]{1,220}[a-z0-9])\s*$/.exec(entry) ?? [];
    if (location === undefined || bucket === undefined) {
      throw new InvalidInput(`'${entry}' is not of the form LOCATION=bucket, for example EU=acme-staging-eu.`);
    }
    if (buckets.has(location.toUpperCase())) throw new InvalidInput(`Location ${location} is named twice.`);
    buckets.set(location.toUpperCase(), bucket);
  }
  return buckets;
}

function parseCount(text: string): number {
  if (!/^[1-9]\d{0,3}$/.test(text)) throw new InvalidInput(`'${text}' is not a whole number from 1 to 9999.`);
  return Number(text);
}

/** In MB. A part of one is taken, as a worker's are shared among its processes. */
function parseAmount(text: string): number {
  if (!/^\d{1,7}(\.\d{1,6})?$/.test(text) || Number(text) <= 0) {
    throw new InvalidInput(`'${text}' is not a number greater than 0.`);
  }
  return Number(text);
}

function parseTimeOrOff(text: string): TimeOfDay | undefined {
  if (text === 'off') return undefined;
  const [, hour, minute] = /^([01]\d|2[0-3]):([0-5]\d)$/.exec(text) ?? [];
  if (hour === undefined || minute === undefined) {
    throw new InvalidInput(`'${text}' is neither a time of day in UTC, such as 04:00, nor off.`);
  }
  return { hour: Number(hour), minute: Number(minute) };
}

/** Path and query may be a secret: no message repeats them. */
function parseNoticeUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== 'https:' && url?.protocol !== 'http:') {
    throw new InvalidInput('it is not a URL of the form https://host/path.');
  }
  if (url.username !== '' || url.password !== '') {
    throw new InvalidInput('it holds a user or a password: leave them out, as every notice is signed.');
  }
  return url;
}

/** Standard Webhooks specification, "Signature scheme": 24 to 64 bytes. */
function parseNoticeSecret(text: string): Buffer {
  const [, base64 = ''] = /^whsec_((?:[A-Za-z0-9+/]{4})+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?)$/.exec(text) ?? [];
  const secret = Buffer.from(base64, 'base64');
  if (secret.length < 24 || secret.length > 64) {
    throw new InvalidInput('it is not whsec_ followed by 24 to 64 bytes in base64.');
  }
  return secret;
}

function parseHost(text: string): string {
  if (!/^[\w.:-]{1,253}$/.test(text)) throw new InvalidInput(`'${text}' is not a host's name or address.`);
  return text;
}

/** 0 is any free port. */
function parsePort(text: string): number {
  if (!/^\d{1,5}$/.test(text) || Number(text) > 65_535) throw new InvalidInput(`'${text}' is not a port.`);
  return Number(text);
}

function parseOrigin(text: string): string {
  if (!/^https?:/.test(text) || !URL.canParse(text) || new URL(text).origin !== text) {
    throw new InvalidInput(
      `'${text}' is not an origin: give scheme, host and port, as in https://temporal.example.com.`,
    );
  }
  return text;
}

/** RFC 6750, "b64token". Too short a one could be guessed. */
function parseToken(text: string): string {
  if (!/^[\w.~+/-]{32,1024}=*$/.test(text)) {
    throw new InvalidInput('it is not 32 letters, digits and . _ ~ + / - or more, as openssl rand -hex 32 makes them.');
  }
  return text;
}

function parseDeploymentName(text: string): string {
  if (!/^[\w/-]{1,200}$/.test(text)) throw new InvalidInput(`'${text}' is not up to 200 letters, digits and / _ -`);
  return text;
}

function parseBuildId(text: string): string {
  if (!/^[\w/.-]{1,200}$/.test(text)) throw new InvalidInput(`'${text}' is not up to 200 letters, digits and / . _ -`);
  return text;
}

function parseFlag(text: string): boolean {
  if (text !== 'true' && text !== 'false') throw new InvalidInput(`'${text}' is neither true nor false.`);
  return text === 'true';
}
