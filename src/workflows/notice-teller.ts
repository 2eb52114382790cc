import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { CancellationScope, log, ParentClosePolicy, patched, sleep, startChild } from '@temporalio/workflow';
import {
  noticeWorkflowId,
  taskQueues,
  type AccountId,
  type FolderName,
  type ModellingRun,
  type Notice,
  type NoticeEvent,
} from '../contract';
import { noticeDelayMs } from '../timing';
import { noticesAreOn } from './activity-proxies';
import { searchAttributes } from './messages';
import { notice } from './notice';
import type { Teller } from './notices';

/** Tells by workflows that outlive the dump. Also a cancelled dump tells. */
export function noticeTeller(account: AccountId, folder: FolderName, run: ModellingRun): Teller {
  // Dumps that began before there were notices replay without them.
  if (!patched('notices')) return silent;
  let number = 0;
  return {
    nowMs: () => Date.now(),
    areOn: () => CancellationScope.nonCancellable(areOn),
    gather: () => CancellationScope.nonCancellable(() => sleep(noticeDelayMs, { summary: 'gathers what fails' })),
    tell: (event, atMs) => CancellationScope.nonCancellable(() => tell(event, atMs)),
  };

  async function tell(event: NoticeEvent, atMs: number): Promise<void> {
    const { type, ...about } = event;
    const told: Notice = { type, timestamp: new Date(atMs).toISOString(), data: { account, folder, run, ...about } };
    try {
      do number += 1;
      while (!(await start(told, summaryOf(account, folder, event))));
    } catch (error) {
      log.warn('A notice could not be started', { error, type });
    }
  }

  /** `false` where a dump that was reset has told something else by this number before. */
  async function start(told: Notice, staticSummary: string): Promise<boolean> {
    try {
      await startChild(notice, {
        workflowId: noticeWorkflowId(account, folder, number),
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
}

async function areOn(): Promise<boolean> {
  try {
    return await noticesAreOn();
  } catch (error) {
    log.warn('Whether notices are on could not be found out', { error });
    return false;
  }
}

/** For the UI's list. Temporal refuses a summary of more than 400 bytes. */
function summaryOf(account: AccountId, folder: FolderName, event: NoticeEvent): string {
  const types = event.type === 'dump.needs-attention' ? new Set(event.faults.map((fault) => fault.type)) : new Set();
  return [`${account}: ${event.type} ${folder}`, ...types].join(' ').slice(0, 200);
}

const silent: Teller = {
  nowMs: () => 0,
  areOn: async () => false,
  gather: async () => {},
  tell: async () => {},
};
