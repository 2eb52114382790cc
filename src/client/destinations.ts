import {
  Client,
  Connection,
  isGrpcServiceError,
  ServiceError,
  WithStartWorkflowOperation,
  WorkflowNotFoundError,
  type WorkflowHandle,
} from '@temporalio/client';
import {
  decodeArrayFromPayloads,
  decodeOptionalFailureToOptionalError,
} from '@temporalio/common/lib/internal-non-workflow';
import { createDataConverter } from '../codec/data-converter';
import { PayloadKeyUnavailable } from '../codec/keys';
import { openKeys } from '../codec/open-keys';
import { readPayloadKeyFile, readTemporalConfig } from '../config';
import {
  destinationWorkflowId,
  taskQueues,
  type AccessCheck,
  type AccountId,
  type Copied,
  type CopyProgress,
  type DestinationStatus,
  type DumpStatus,
  type ModellingRun,
  type TableProgress,
} from '../contract';
import {
  parseAccountId,
  parseDestination,
  parseModellingRun,
  parseReason,
  type DestinationInput,
} from '../dump/inputs';
import type { destination, dump } from '../workflows';
import {
  abandonSignal,
  checkUpdate,
  connectUpdate,
  destinationStatusQuery,
  disconnectUpdate,
  dumpNowSignal,
  dumpStatusQuery,
  modellingRunSucceededSignal,
  pauseSignal,
  resumeSignal,
  retrySignal,
  type Connected,
} from '../workflows/messages';
import { overviewOf, TemporalListing, type Overview, type OverviewOptions } from './overview';
import { RequestFailed } from './request-failed';

export interface DestinationReport {
  readonly destination: DestinationStatus;
  /** The dump at work, if there is one. */
  readonly dump?: DumpReport;
}

export interface DumpReport extends DumpStatus {
  /** What Temporal tries again by itself at the moment, and why. */
  readonly retrying: readonly string[];
}

/** Longer than the ten seconds after which Temporal asks another worker than the one that was killed. */
const queryTimeoutMs = 15_000;

/** What the vendor's pipeline and operators ask of customers' destinations. */
export class Destinations {
  constructor(private readonly client: Client) {}

  /** Sets or changes where a customer's tables go, once access is proven. */
  async connect(account: string, input: DestinationInput): Promise<Connected> {
    const accountId = parseAccountId(account);
    // Refused here, a mistake does not even start the destination.
    parseDestination(input);
    const startWorkflowOperation = new WithStartWorkflowOperation<typeof destination>('destination', {
      ...startOptions(accountId),
      workflowIdConflictPolicy: 'USE_EXISTING',
      args: [],
    });
    return this.client.workflow.executeUpdateWithStart(connectUpdate, { args: [input], startWorkflowOperation });
  }

  /** Proves access once more, as `connect` does. The settings stay, whatever it says. */
  async check(account: string): Promise<AccessCheck> {
    return this.destination(account).executeUpdate(checkUpdate);
  }

  /** What the proof of access says at the moment, if it has begun. */
  async access(account: string): Promise<AccessCheck | undefined> {
    return (await this.destinationStatus(account)).access;
  }

  /** Nothing is delivered to the customer any more; a dump at work is cancelled. */
  async disconnect(account: string): Promise<void> {
    await this.destination(account).executeUpdate(disconnectUpdate);
  }

  /** Says that a run has succeeded, also to a customer who was never connected. Saying it twice does no harm. */
  async modellingRunSucceeded(account: string, run: ModellingRunInput): Promise<void> {
    const accountId = parseAccountId(account);
    const parsed = parseModellingRun(withInstant(run), Date.now());
    await this.client.workflow.signalWithStart<typeof destination, [unknown]>('destination', {
      ...startOptions(accountId),
      args: [],
      signal: modellingRunSucceededSignal,
      signalArgs: [parsed satisfies ModellingRun],
    });
  }

  async pause(account: string): Promise<void> {
    await this.destination(account).signal(pauseSignal);
  }

  async resume(account: string): Promise<void> {
    await this.destination(account).signal(resumeSignal);
  }

  /** Delivers the newest run, again if it was delivered before. */
  async dumpNow(account: string): Promise<void> {
    await this.destination(account).signal(dumpNowSignal);
  }

  /** Tries again what waits for a person: one table, or all. Returns the id of the dump that was told. */
  async retry(account: string, table?: string): Promise<string> {
    const dump = await this.currentDump(account, 'there is nothing to retry');
    await dump.signal(retrySignal, table);
    return dump.workflowId;
  }

  /** Gives the dump at work up: it ends without a receipt. Returns the id of the dump that was told. */
  async abandon(account: string, reason?: string): Promise<string> {
    const parsed = parseReason(reason);
    const dump = await this.currentDump(account, 'there is nothing to abandon');
    await dump.signal(abandonSignal, parsed);
    return dump.workflowId;
  }

  async status(account: string): Promise<DestinationReport> {
    const report = (await this.report(account)) ?? (await this.report(account));
    if (report === undefined) throw noAnswer('about the dump at work');
    return report;
  }

  /** All customers, those that need somebody first. Eventually consistent: the visibility store is a moment behind. */
  overview(options: OverviewOptions): Promise<Overview> {
    return overviewOf(new TemporalListing(this.client), options);
  }

  /** `undefined` where the dump's query is not answered: Temporal may lose one of a dump that ends meanwhile. */
  private async report(account: string): Promise<DestinationReport | undefined> {
    const destinationStatus = await this.destinationStatus(account);
    const { currentDump } = destinationStatus;
    if (currentDump === undefined) return { destination: destinationStatus };
    try {
      return { destination: destinationStatus, dump: await this.dumpStatus(currentDump.workflowId) };
    } catch (error) {
      if (!isUnanswered(error)) throw error;
      return undefined;
    }
  }

  /** The workflow counts ranges that are done; the shards of ranges under way are in the activities' heartbeats. */
  private async dumpStatus(workflowId: string): Promise<DumpReport> {
    const handle = this.client.workflow.getHandle<typeof dump>(workflowId);
    // In this order: a range that ends in between is missing for a moment. Counted by both, progress would run ahead.
    const status = await this.inTime(() => handle.query(dumpStatusQuery));
    const { raw } = await handle.describe();
    const pending = raw.pendingActivities ?? [];
    const converter = this.client.options.loadedDataConverter;
    const retrying: string[] = [];
    for (const { activityType, attempt, lastFailure } of pending) {
      const failure = await decodeOptionalFailureToOptionalError(converter, lastFailure);
      if (failure?.message) retrying.push(`${activityType?.name ?? ''}, attempt ${attempt ?? 0}: ${failure.message}`);
    }
    const tables: Record<string, TableProgress> = { ...status.tables };
    for (const { activityType, heartbeatDetails } of pending) {
      if (activityType?.name !== 'copyShards') continue;
      const [beat] = await decodeArrayFromPayloads(converter, heartbeatDetails?.payloads);
      const { table, doneShards, doneBytes } = (beat ?? {}) as Partial<CopyProgress>;
      const progress = table === undefined ? undefined : tables[table];
      if (table === undefined || progress?.state !== 'copying') continue;
      tables[table] = { ...progress, copied: added(progress.copied, doneShards?.length ?? 0, doneBytes ?? 0) };
    }
    return { ...status, tables, retrying };
  }

  private async currentDump(account: string, otherwise: string): Promise<WorkflowHandle<typeof dump>> {
    const { currentDump } = await this.destinationStatus(account);
    if (currentDump === undefined) throw new RequestFailed(`Account ${account} has no dump at work: ${otherwise}.`);
    return this.client.workflow.getHandle<typeof dump>(currentDump.workflowId);
  }

  private destinationStatus(account: string): Promise<DestinationStatus> {
    return this.inTime(() => this.destination(account).query(destinationStatusQuery));
  }

  /** Where there is no worker, a query would wait for half a minute. */
  private inTime<T>(query: () => Promise<T>): Promise<T> {
    return this.client.withDeadline(Date.now() + queryTimeoutMs, query);
  }

  private destination(account: string): WorkflowHandle<typeof destination> {
    return this.client.workflow.getHandle<typeof destination>(destinationWorkflowId(parseAccountId(account)));
  }
}

/** A run as the pipeline knows it. */
export interface ModellingRunInput {
  readonly runId: string;
  /** When the run finished: the instant that the tables are read at. */
  readonly finishedAt: string | Date;
  /** `project.dataset`: where the run wrote. */
  readonly dataset: string;
}

const withInstant = (run: ModellingRunInput): unknown =>
  run.finishedAt instanceof Date ? { ...run, finishedAt: run.finishedAt.toISOString() } : run;

const added = (copied: Copied, shards: number, bytes: number): Copied => ({
  shards: copied.shards + shards,
  bytes: copied.bytes + bytes,
});

const startOptions = (accountId: AccountId) => ({
  workflowId: destinationWorkflowId(accountId),
  taskQueue: taskQueues.control,
  staticSummary: `S3 destination of ${accountId}`,
});

/** Does `work` with a connection of its own, to where Temporal's environment variables say. */
export async function withDestinations<T>(work: (destinations: Destinations) => Promise<T>): Promise<T> {
  const { connectionOptions, namespace = 'default' } = readTemporalConfig();
  // Lazy, so that a mistake in an argument is found before a server that does not answer.
  const connection = Connection.lazy(connectionOptions);
  try {
    const dataConverter = createDataConverter(await openKeys(readPayloadKeyFile()));
    return await work(new Destinations(new Client({ connection, namespace, dataConverter })));
  } catch (error) {
    throw asSentence(error, connectionOptions.address ?? 'localhost:7233');
  } finally {
    await connection.close();
  }
}

function asSentence(error: unknown, address: string): unknown {
  if (error instanceof PayloadKeyUnavailable) return new RequestFailed(error.message, { cause: error });
  if (error instanceof WorkflowNotFoundError) {
    const account = error.workflowId.split('/')[1] ?? error.workflowId;
    return new RequestFailed(`Account ${account} has no destination yet: connect it first.`, { cause: error });
  }
  const grpcError = grpcErrorOf(error);
  if (grpcError !== undefined && grpcUnreachable.has(grpcError.code)) {
    return new RequestFailed(`Temporal does not answer at ${address}: set TEMPORAL_ADDRESS to where it does.`, {
      cause: error,
    });
  }
  if (grpcError !== undefined && grpcUnanswered.has(grpcError.code)) {
    return noAnswer(grpcError.details, error);
  }
  if (grpcError !== undefined && grpcRefused.has(grpcError.code)) {
    return new RequestFailed(
      `Temporal refuses it (${grpcError.details}): what each command needs is in docs/authorisation.md.`,
      { cause: error },
    );
  }
  return error;
}

const noAnswer = (what: string, cause?: unknown): RequestFailed =>
  new RequestFailed(
    `No worker answers: start one or, where one was stopped just now, ask again in a moment (${what}).`,
    { cause },
  );

function grpcErrorOf(error: unknown): { readonly code: number; readonly details: string } | undefined {
  const cause = error instanceof ServiceError ? error.cause : error;
  return isGrpcServiceError(cause) ? cause : undefined;
}

/** gRPC documentation, "Status codes": DEADLINE_EXCEEDED. */
export const isUnanswered = (error: unknown): boolean => grpcErrorOf(error)?.code === 4;

/** gRPC documentation, "Status codes": UNAVAILABLE. */
const grpcUnreachable: ReadonlySet<number> = new Set([14]);
/** DEADLINE_EXCEEDED, and FAILED_PRECONDITION, which Temporal answers where no worker has polled for a while. */
const grpcUnanswered: ReadonlySet<number> = new Set([4, 9]);
/** PERMISSION_DENIED and UNAUTHENTICATED. */
const grpcRefused: ReadonlySet<number> = new Set([7, 16]);
