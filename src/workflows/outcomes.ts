import {
  ApplicationFailure,
  CancellationScope,
  ChildWorkflowFailure,
  isCancellation,
  rootCause,
  TerminatedFailure,
} from '@temporalio/workflow';
import type { DumpOutcome, EndState, FolderName } from '../contract';

/** How a dump ended that returned nothing to its destination. Throws what is no end of the dump. */
export function outcomeOf(error: unknown, folder: FolderName, runId: string): DumpOutcome {
  const ended = { folder, runId };
  if (isCancellation(error)) {
    // Cancelled alone, by an operator or by disconnect: the destination goes on. Cancelled itself: it ends.
    if (CancellationScope.current().consideredCancelled) throw error;
    return { ...ended, outcome: 'cancelled', reason: 'cancelled' };
  }
  if (!(error instanceof ChildWorkflowFailure)) throw error;
  const reason = rootCause(error) ?? error.message;
  const type = error.cause instanceof ApplicationFailure ? error.cause.type : undefined;
  return { ...ended, outcome: outcomeByFailureType.get(type) ?? 'failed', reason };
}

const outcomeByFailureType: ReadonlyMap<unknown, 'superseded' | 'abandoned'> = new Map([
  ['Superseded', 'superseded'],
  ['Abandoned', 'abandoned'],
]);

/** A terminated dump does not wait for its activities: a receipt that it asked for may be put until S3 refuses it. */
export const wasTerminated = (error: unknown): boolean =>
  error instanceof ChildWorkflowFailure && error.cause instanceof TerminatedFailure;

export const stateAfter = ({ outcome }: DumpOutcome): EndState =>
  `${outcome.slice(0, 1).toUpperCase()}${outcome.slice(1)}` as Capitalize<typeof outcome>;
