import {
  ApplicationFailure,
  CancellationScope,
  defineWorkflowOptions,
  isCancellation,
  log,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import {
  identityOfDump,
  type Copied,
  type CopyProgress,
  type DestinationSettings,
  type DumpOutcome,
  type EndState,
  type ModellingRun,
  type NoticeSubject,
  type StagedTable,
  type TableName,
} from '../contract';
import { shardRanges } from '../dump/keys';
import { inLanes } from '../dump/lanes';
import type { DeliveredTable } from '../dump/receipt';
import { InvalidInput, parseReason } from '../dump/inputs';
import { accessRetryEveryMs } from '../timing';
import { activitiesFor } from './activity-proxies';
import { copyProgressOf, endingFailure, faultOf } from './faults';
import { abandonSignal, dumpStatusQuery, retrySignal, supersedeSignal } from './messages';
import { noticeTeller } from './notice-teller';
import { Notices } from './notices';
import { DumpProgress, sum } from './progress';
import { Retries } from './retries';
import { versioned } from './versioning';

export interface DumpInput {
  readonly run: ModellingRun;
  readonly settings: DestinationSettings;
  /** RFC 3339. The receipt's timestamp; its minute is the folder's name. */
  readonly startedAt: string;
}

/** Ranges of one table that are copied side by side, so that several copy workers share a big table. */
const rangesSideBySide = 4;

const nothingDone: Pick<CopyProgress, 'doneShards' | 'doneBytes'> = { doneShards: [], doneBytes: 0 };

// A dump ends: it stays with the version of the code that began it, whatever is deployed meanwhile.
defineWorkflowOptions(dump, versioned('PINNED'));

/**
 * One complete dump. It ends Completed when the receipt is written, and only then. Its id names the account and the
 * folder.
 */
export async function dump({ run, settings, startedAt }: DumpInput): Promise<DumpOutcome> {
  const { accountId, folder } = identityOfDump(workflowInfo().workflowId);
  const activities = activitiesFor(accountId);
  const progress = new DumpProgress(accountId, folder, run, settings.tables);
  const retries = new Retries();
  const notices = new Notices(noticeTeller(accountId, folder, run));
  const scope = new CancellationScope();
  let newerRunId: string | undefined;
  let abandonment: ApplicationFailure | undefined;
  let isCommitted = false;

  setHandler(dumpStatusQuery, () => progress.status);
  // The descriptions are what the UI's dialog for signals shows.
  setHandler(supersedeSignal, (runId) => void (newerRunId = runId), {
    description: 'Sent by the destination: not for people',
  });
  setHandler(retrySignal, (table) => retry(table), {
    description: 'Tries again what waits. Input: nothing for all of it, or a table such as "events"',
  });
  setHandler(abandonSignal, (reason) => abandon(reason), {
    description: 'Gives this dump up: no receipt is written. Input: nothing, or the reason as "text"',
  });

  // A snapshot of the future cannot be read, and the pipeline's clock may be a little ahead.
  const snapshotMs = Math.min(Date.parse(run.finishedAt), Date.parse(startedAt));

  try {
    const receiptKey = await scope.run(deliver);
    isCommitted = true;
    if (abandonment !== undefined) progress.note(tooLateToAbandon);
    const { total } = progress;
    const outcome: DumpOutcome = { outcome: 'delivered', folder, runId: run.runId, total, receiptKey };
    await notices.ended(outcome);
    progress.begin('clear staging');
    await clearStaging();
    progress.ended('Delivered', 'complete');
    return outcome;
  } catch (error) {
    const ending = endingOf(error);
    await notices.ended({ outcome: outcomeOf(ending.state), folder, runId: run.runId, reason: ending.reason });
    progress.begin('clear staging');
    await clearStaging();
    progress.ended(ending.state, ending.reason);
    throw ending.error;
  }

  async function deliver(): Promise<string> {
    await proveAccess();
    return commitReceipt(await deliverTables());
  }

  async function proveAccess(): Promise<void> {
    progress.begin('assume role');
    await untilMended(undefined, () => activities.assumeCustomerRole('assume the customer role', { settings }));
  }

  async function deliverTables(): Promise<DeliveredTable[]> {
    progress.begin('deliver tables');
    return allOrNone(settings.tables.map((table) => () => deliverTable(table)));
  }

  async function deliverTable(table: TableName): Promise<DeliveredTable> {
    const staged = await untilMended(table, () => extract(table));
    await copyTable(table, staged);
    await untilMended(table, () => {
      progress.uploadingSchema(table, staged);
      return activities.uploadSchema(`${table}: schema`, { settings, table, staged });
    });
    progress.delivered(table, staged);
    return { table, shardCount: staged.shardCount };
  }

  /** One that is cancelled is waited for: its job might write into staging that has been cleared. */
  async function extract(table: TableName): Promise<StagedTable> {
    progress.extracting(table);
    try {
      return await activities.extractTable(`${table}: extract`, { dataset: run.dataset, table, snapshotMs });
    } catch (error) {
      const { consideredCancelled, cancelRequested } = CancellationScope.current();
      // Throws that it was cancelled, however the extraction ended: nobody is to mend it any more.
      if (consideredCancelled) await cancelRequested;
      throw error;
    }
  }

  /** The table is never extracted again: other shard boundaries than those already delivered would corrupt the folder. */
  async function copyTable(table: TableName, staged: StagedTable): Promise<void> {
    const doneByRange = new Map(shardRanges(staged.shardCount).map((range) => [range, nothingDone]));
    let copied: Copied = { shards: 0, bytes: 0 };
    await untilMended(table, () => {
      progress.copying(table, staged, copied);
      return inLanes([...doneByRange], rangesSideBySide, async ([range, done]) => {
        const summary = `${table}: shards ${range.first}–${range.first + range.count - 1} of ${staged.shardCount}`;
        try {
          const more = await activities.copyShards(summary, { settings, table, staged, range, ...done });
          doneByRange.delete(range);
          copied = sum(copied, more);
          progress.copied(table, more);
        } catch (error) {
          const { doneShards, doneBytes } = copyProgressOf(error) ?? done;
          doneByRange.set(range, { doneShards, doneBytes });
          throw error;
        }
      });
    });
  }

  /** Once it is asked for, a cancellation comes too late: whether the receipt is there must be known. */
  async function commitReceipt(delivered: readonly DeliveredTable[]): Promise<string> {
    refuseIfReset();
    progress.begin('commit receipt');
    return untilMended(undefined, () =>
      CancellationScope.nonCancellable(() =>
        activities.commitReceipt('commit receipt.json', { settings, startedAt, delivered }),
      ),
    );
  }

  /** Also after a cancellation. What cannot be cleared is left to the bucket's lifecycle rule, and told in the details. */
  async function clearStaging(): Promise<void> {
    await CancellationScope.nonCancellable(async () => {
      try {
        await activities.clearStaging('clear staging');
      } catch (error) {
        log.warn('Staging is left to the lifecycle rule', { error });
        progress.leftStaging(endingFailure(error).message);
      }
    });
  }

  /**
   * Does `work`; where it fails for a reason that a person must mend, waits and does it again. `subject` is the table
   * that it is about, if any. Only what failed waits: the other tables go on.
   */
  async function untilMended<T>(subject: TableName | undefined, work: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        const result = await work();
        notices.mended(noticeSubject(subject));
        return result;
      } catch (error) {
        const fault = faultOf(error);
        if (fault === undefined) throw error;
        progress.needsAttention(subject, fault);
        notices.needsAttention(noticeSubject(subject), fault);
        await retries.wait(subject, fault.retriesHourly ? accessRetryEveryMs : undefined, supersededWhileWaiting);
        if (supersededWhileWaiting()) throw superseded();
        if (subject === undefined) progress.begin(progress.status.step);
      }
    }
  }

  function noticeSubject(table: TableName | undefined): NoticeSubject {
    return table === undefined ? { step: progress.status.step } : { table };
  }

  function retry(table: unknown): void {
    const refusal = retries.request(table);
    if (refusal !== undefined) progress.note(refusal);
  }

  function abandon(input: unknown): void {
    if (isCommitted) return progress.note(tooLateToAbandon);
    try {
      const reason = parseReason(input);
      abandonment = ApplicationFailure.nonRetryable(
        reason === undefined ? 'An operator gave this dump up' : `An operator gave this dump up: ${reason}`,
        'Abandoned',
      );
      scope.cancel();
    } catch (error) {
      if (!(error instanceof InvalidInput)) throw error;
      progress.note(`abandon: ${error.message}`);
    }
  }

  function supersededWhileWaiting(): boolean {
    return newerRunId !== undefined && !progress.isAtWork;
  }

  function superseded(): ApplicationFailure {
    return ApplicationFailure.nonRetryable(
      `This dump waited for somebody to mend it; run ${newerRunId ?? ''} is delivered instead`,
      'Superseded',
    );
  }

  function endingOf(error: unknown): { state: EndedWithoutReceipt; reason: string; error: unknown } {
    if (abandonment !== undefined) return { state: 'Abandoned', reason: abandonment.message, error: abandonment };
    if (isCancellation(error)) return { state: 'Cancelled', reason: 'cancelled', error };
    const ending = endingFailure(error);
    return { state: ending.type === 'Superseded' ? 'Superseded' : 'Failed', reason: ending.message, error: ending };
  }
}

/** Newer dumps may have been delivered since: whoever resets a dump would have it write an older receipt over theirs. */
function refuseIfReset(): void {
  const { runId, originalExecutionRunId } = workflowInfo();
  if (runId === originalExecutionRunId) return;
  throw ApplicationFailure.nonRetryable(
    'This dump was reset and writes no receipt, as a newer one may be there: deliver again by dumpNow',
    'Reset',
  );
}

/** How a dump ends without a receipt. */
type EndedWithoutReceipt = Exclude<EndState, 'Delivered'>;

const outcomeOf = (state: EndedWithoutReceipt): Lowercase<EndedWithoutReceipt> =>
  state.toLowerCase() as Lowercase<EndedWithoutReceipt>;

const tooLateToAbandon = 'abandon: too late, the receipt is written';

/** All results in order; the first failure cancels the others and is thrown when they have ended. */
async function allOrNone<T>(tasks: readonly (() => Promise<T>)[]): Promise<T[]> {
  const scope = new CancellationScope();
  const running = scope.run(() => Promise.resolve(tasks.map((task) => task())));
  const started = await running;
  try {
    return await Promise.all(started);
  } catch (error) {
    scope.cancel();
    await Promise.allSettled(started);
    throw error;
  }
}
