/** What the bench and its worker process say to each other. */
import type { AccountId, FolderName } from '../../src/contract';
import type { Call, CallTotals } from './calls';
import type { Services } from './services';

export interface WorkerArguments {
  readonly services: Services;
  /** Where the SDK's metrics are read, as `host:port`. */
  readonly metricsAddress: string;
}

export interface WorkerQuestion {
  readonly number: number;
  /** Whose requests to services are wanted. */
  readonly workflowId: string;
}

export type WorkerMessage =
  | { readonly kind: 'ready' }
  | ({ readonly kind: 'receipt' } & ReceiptPut)
  | { readonly kind: 'report'; readonly number: number; readonly report: WorkerReport }
  | { readonly kind: 'failed'; readonly number: number; readonly reason: string };

export interface ReceiptPut {
  readonly accountId: AccountId;
  readonly folder: FolderName;
  /** What the bucket lacks of what the receipt speaks of. */
  readonly faults: readonly string[];
}

/** All since the process began. */
export interface WorkerReport {
  readonly cpuSeconds: number;
  /** Of the main thread, which runs the activities and passes on what workflows do. */
  readonly eventLoop: { readonly idle: number; readonly active: number };
  /** What the worker asked of Temporal. */
  readonly requestsByOperation: Readonly<Record<string, number>>;
  readonly totalsByService: Readonly<Record<string, CallTotals>>;
  readonly lateReceipts: number;
  readonly stagedFilesLeft: number;
  readonly notices: number;
  readonly calls: readonly Call[];
}
