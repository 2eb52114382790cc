import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { CancellationScope, log, ParentClosePolicy, patched, sleep, startChild } from '@temporalio/workflow';
import {
  noticeWorkflowId,
  taskQueues,
  type AccessEvent,
  type AccountId,
  type DumpEvent,
  type FolderName,
  type ModellingRun,
  type Notice,
  type NoticeEvent,
  type NoticeOccasion,
} from '../contract';
import { folderName } from '../dump/keys';
import { noticeDelayMs } from '../timing';
import type { AccessTeller } from './access-notices';
import { activitiesFor, noticesAreOnLocally } from './activity-proxies';
import { searchAttributes } from './messages';
import { notice } from './notice';
import type { Teller } from './notices';

/** Tells by workflows that outlive the dump. Also a cancelled dump tells. */
export function noticeTeller(account: AccountId, folder: FolderName, run: ModellingRun): Teller {
  // Dumps that began before there were notices replay without them.
  if (!patched('notices')) return silent;
  const numbers = numbersFromOne();
  const tell = (event: DumpEvent, atMs: number): Promise<void> =>
    startNotice({ account, occasion: folder, numbers, event, about: { folder, run }, atMs });
  return {
    nowMs: () => Date.now(),
    areOn: () => CancellationScope.nonCancellable(() => areOn(account)),
    gather: () => CancellationScope.nonCancellable(() => sleep(noticeDelayMs, { summary: 'gathers what fails' })),
    tell: (event, atMs) => CancellationScope.nonCancellable(() => tell(event, atMs)),
  };
}

/** Tells what checks of a destination's access found. */
export const accessTeller = (account: AccountId): AccessTeller => ({
  areOn: () => areOn(account),
  tell: (event: AccessEvent) => {
    const occasion = `access-${folderName(new Date(Date.now()))}` as const;
    return startNotice({ account, occasion, numbers: numbersFromOne(), event, about: {}, atMs: Date.now() });
  },
});

interface Telling {
  readonly account: AccountId;
  readonly occasion: NoticeOccasion;
  readonly numbers: Iterator<number, never>;
  readonly event: NoticeEvent;
  /** What it is about, beside the account. */
  readonly about: Readonly<Record<string, unknown>>;
  readonly atMs: number;
}

/** Returns when the notice goes its own way, as a workflow by the next number that is free. Never throws. */
async function startNotice({ account, occasion, numbers, event, about, atMs }: Telling): Promise<void> {
  const { type, ...what } = event;
  const told: Notice = { type, timestamp: new Date(atMs).toISOString(), data: { account, ...about, ...what } };
  const summary = summaryOf(account, occasion, event);
  try {
    while (!(await start(told, noticeWorkflowId(account, occasion, numbers.next().value), summary)));
  } catch (error) {
    log.warn('A notice could not be started', { error, type });
  }
}

/** `false` where a dump that was reset, or another check of this minute, has told something else by this id before. */
async function start(told: Notice, workflowId: string, staticSummary: string): Promise<boolean> {
  const { account } = told.data;
  try {
    await startChild(notice, {
      workflowId,
      taskQueue: taskQueues.control,
      args: [told],
      workflowIdReusePolicy: 'REJECT_DUPLICATE',
      parentClosePolicy: ParentClosePolicy.ABANDON,
      typedSearchAttributes: [{ key: searchAttributes.account, value: account }],
      staticSummary,
      priority: { fairnessKey: account },
    });
    return true;
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) return false;
    throw error;
  }
}

/** A setting of the worker, which a workflow cannot read. */
async function areOn(account: AccountId): Promise<boolean> {
  try {
    if (!patched('notices-are-on-activity')) return await noticesAreOnLocally();
    return await activitiesFor(account).noticesAreOn('are notices on?');
  } catch (error) {
    log.warn('Whether notices are on could not be found out', { error });
    return false;
  }
}

function* numbersFromOne(): Generator<number, never> {
  for (let number = 1; ; number += 1) yield number;
}

/** For the UI's list. Temporal refuses a summary of more than 400 bytes. */
const summaryOf = (account: AccountId, occasion: NoticeOccasion, event: NoticeEvent): string =>
  [`${account}: ${event.type} ${occasion}`, ...new Set(faultTypesOf(event))].join(' ').slice(0, 200);

function faultTypesOf(event: NoticeEvent): string[] {
  if (event.type === 'dump.needs-attention') return event.faults.map(({ type }) => type);
  return event.type === 'destination.access-refused' ? [event.fault.type] : [];
}

const silent: Teller = {
  nowMs: () => 0,
  areOn: async () => false,
  gather: async () => {},
  tell: async () => {},
};
