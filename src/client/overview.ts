/** `status` of all customers: what the server's visibility store says, failures first. */
import { isGrpcServiceError, ServiceError, type Client } from '@temporalio/client';
import {
  identityOfWorkflow,
  searchAttributeNames,
  type AccessCheck,
  type AccountId,
  type DestinationState,
  type DumpStatus,
  type Fault,
} from '../contract';
import { inLanes } from '../dump/lanes';
import type { destination, dump } from '../workflows';
import { destinationStatusQuery, dumpStatusQuery } from '../workflows/messages';
import { RequestFailed } from './request-failed';

/** In the order in which customers are shown. `NeedsAttention` is the dump's state, the others are the destination's. */
export const customerStates = [
  'NeedsAttention',
  'AccessRefused',
  'Failed',
  'Abandoned',
  'Cancelled',
  'Superseded',
  'Delivering',
  'Paused',
  'Delivered',
  'Waiting',
  'NotConnected',
] as const satisfies readonly (DestinationState | 'NeedsAttention')[];

export type CustomerState = (typeof customerStates)[number];

export interface OverviewOptions {
  /** Customers shown, at most. */
  readonly limit: number;
  /** Only customers in this state. */
  readonly state?: CustomerState | undefined;
}

export interface Overview {
  /** Each customer counts once, by the destination's state; those that need attention are counted again beside that. */
  readonly counts: Readonly<Record<CustomerState, number>>;
  readonly customers: readonly CustomerLine[];
  /** Customers that are not shown. */
  readonly more: number;
}

export interface CustomerLine {
  readonly accountId: AccountId;
  readonly state: CustomerState;
  /** Where the state is `NeedsAttention`. */
  readonly dump?: WaitingDump;
  /** Where the state is `AccessRefused`. */
  readonly refusal?: Refusal;
}

export type Refusal =
  /** RFC 3339: of the check that found it; absent while another is going on. */
  | { readonly at?: string; readonly fault: Fault }
  /** Why it could not be asked for. */
  | { readonly unanswered: string };

export interface WaitingDump {
  readonly workflowId: string;
  /** RFC 3339. */
  readonly startedAt: string;
  /** What waits for a person: of a table, or of the whole dump. */
  readonly faults: readonly (Fault & { readonly table?: string })[];
  /** Why it could not be asked for its faults. */
  readonly unanswered?: string;
}

export interface FoundWorkflow {
  readonly workflowId: string;
  readonly startedAt: Date;
}

/** What an overview asks of Temporal. */
export interface Listing {
  count(query: string): Promise<number>;
  list(query: string, pageSize: number): AsyncIterable<FoundWorkflow>;
  /** These fail where no worker answers in time. */
  access(workflowId: string): Promise<AccessCheck | undefined>;
  dumpStatus(workflowId: string): Promise<Pick<DumpStatus, 'stepFault' | 'tables'>>;
}

/** Workflows that are asked for their faults side by side. */
const queriesSideBySide = 8;
const pageSizeMax = 1000;

export async function overviewOf(listing: Listing, { limit, state }: OverviewOptions): Promise<Overview> {
  const counts = await countsOf(listing);
  const states = state === undefined ? customerStates.filter((each) => counts[each] > 0) : [state];
  const found = await firstCustomers(listing, states, limit);
  const total = state === undefined ? customersIn(counts) : counts[state];
  return {
    counts,
    customers: await withFaults(listing, found),
    more: Math.max(total - found.length, 0),
  };
}

export const customersIn = (counts: Overview['counts']): number =>
  customerStates.reduce((sum, state) => sum + (state === 'NeedsAttention' ? 0 : counts[state]), 0);

async function countsOf(listing: Listing): Promise<Overview['counts']> {
  const entries = await Promise.all(
    customerStates.map(async (state) => [state, await listing.count(queryFor(state))] as const),
  );
  return Object.fromEntries(entries) as Record<CustomerState, number>;
}

/** Only what runs: a destination that continued as new, or a dump that was terminated, keeps its last state. */
function queryFor(state: CustomerState): string {
  const workflowType = state === 'NeedsAttention' ? 'dump' : 'destination';
  return `WorkflowType = "${workflowType}" AND ExecutionStatus = "Running" AND ${searchAttributeNames.state} = "${state}"`;
}

interface FoundCustomer extends FoundWorkflow {
  readonly accountId: AccountId;
  readonly state: CustomerState;
}

/** A customer whose dump needs attention is not shown again by the destination's state. */
async function firstCustomers(
  listing: Listing,
  states: readonly CustomerState[],
  limit: number,
): Promise<FoundCustomer[]> {
  const found = new Map<AccountId, FoundCustomer>();
  for (const state of states) {
    if (found.size >= limit) break;
    for await (const workflow of listing.list(queryFor(state), Math.min(limit, pageSizeMax))) {
      const { accountId } = identityOfWorkflow(workflow.workflowId);
      if (!found.has(accountId)) found.set(accountId, { ...workflow, accountId, state });
      if (found.size >= limit) break;
    }
  }
  return [...found.values()];
}

async function withFaults(listing: Listing, found: readonly FoundCustomer[]): Promise<CustomerLine[]> {
  const lines: CustomerLine[] = found.map(({ accountId, state }) => ({ accountId, state }));
  const faulty = [...found.entries()].filter(
    ([, { state }]) => state === 'NeedsAttention' || state === 'AccessRefused',
  );
  await inLanes(faulty, queriesSideBySide, async ([index, { accountId, state, workflowId, startedAt }]) => {
    lines[index] =
      state === 'AccessRefused'
        ? { accountId, state, ...(await refusalOf(listing, workflowId)) }
        : {
            ...{ accountId, state },
            dump: { workflowId, startedAt: startedAt.toISOString(), ...(await faultsOf(listing, workflowId)) },
          };
  });
  return lines;
}

/** None where access has been proven since the list was made. */
async function refusalOf(listing: Listing, workflowId: string): Promise<Pick<CustomerLine, 'refusal'>> {
  try {
    const access = await listing.access(workflowId);
    if (access === undefined || access.state === 'passed' || access.fault === undefined) return {};
    return { refusal: { ...(access.state === 'failed' ? { at: access.at } : {}), fault: access.fault } };
  } catch (error) {
    return { refusal: { unanswered: sentenceOf(error) } };
  }
}

async function faultsOf(listing: Listing, workflowId: string): Promise<Pick<WaitingDump, 'faults' | 'unanswered'>> {
  try {
    const { stepFault, tables } = await listing.dumpStatus(workflowId);
    const ofTables = Object.entries(tables).flatMap(([table, progress]) =>
      progress.state === 'needs attention' ? [{ ...progress.fault, table }] : [],
    );
    return { faults: [...(stepFault === undefined ? [] : [stepFault]), ...ofTables] };
  } catch (error) {
    return { faults: [], unanswered: sentenceOf(error) };
  }
}

const sentenceOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** All workflows together: with no worker up, the overview comes without their faults. */
const queriesTimeoutMs = 5_000;

export class TemporalListing implements Listing {
  private giveUpAtMs: number | undefined;

  constructor(private readonly client: Client) {}

  async count(query: string): Promise<number> {
    try {
      return (await this.client.workflow.count(query)).count;
    } catch (error) {
      const grpcError = error instanceof ServiceError ? error.cause : error;
      if (!isGrpcServiceError(grpcError) || !grpcMalformed.has(grpcError.code)) throw error;
      throw new RequestFailed(
        `The namespace ${this.client.options.namespace} does not know the search attribute ${searchAttributeNames.state}: start a worker, which adds it.`,
        { cause: error },
      );
    }
  }

  async *list(query: string, pageSize: number): AsyncIterable<FoundWorkflow> {
    for await (const { workflowId, startTime } of this.client.workflow.list({ query, pageSize })) {
      yield { workflowId, startedAt: startTime };
    }
  }

  async access(workflowId: string): Promise<AccessCheck | undefined> {
    const handle = this.client.workflow.getHandle<typeof destination>(workflowId);
    return (await this.inTime(() => handle.query(destinationStatusQuery))).access;
  }

  async dumpStatus(workflowId: string): Promise<DumpStatus> {
    const handle = this.client.workflow.getHandle<typeof dump>(workflowId);
    return this.inTime(() => handle.query(dumpStatusQuery));
  }

  private inTime<T>(query: () => Promise<T>): Promise<T> {
    this.giveUpAtMs ??= Date.now() + queriesTimeoutMs;
    return this.client.withDeadline(this.giveUpAtMs, query);
  }
}

/** gRPC documentation, "Status codes": INVALID_ARGUMENT. Our queries are malformed only where the namespace lacks what they name. */
const grpcMalformed: ReadonlySet<number> = new Set([3]);
