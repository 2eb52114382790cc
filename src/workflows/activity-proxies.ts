import {
  ActivityCancellationType,
  patched,
  proxyActivities,
  proxyLocalActivities,
  type ActivityOptions,
} from '@temporalio/workflow';
import type { Activities } from '../activities';
import { taskQueues, type AccountId } from '../contract';
import {
  accessRoundGiveUpMs,
  clearStagingGiveUpMs,
  clearStagingTimeoutMs,
  connectRetryPolicy,
  copyTimeoutMs,
  extractTimeoutMs,
  heartbeatTimeoutMs,
  noticeGiveUpMs,
  noticesAreOnRetryPolicy,
  noticesAreOnTimeoutMs,
  retryPolicy,
  smallActivityTimeoutMs,
} from '../timing';

const small: ActivityOptions = {
  taskQueue: taskQueues.control,
  startToCloseTimeout: smallActivityTimeoutMs,
  retry: retryPolicy,
};

/** Those that are called for one account. */
type ForAccount = Exclude<keyof Activities, 'checkAccess' | 'askForChecks'>;

const options = {
  assumeCustomerRole: small,
  extractTable: {
    taskQueue: taskQueues.extract,
    startToCloseTimeout: extractTimeoutMs,
    heartbeatTimeout: heartbeatTimeoutMs,
    retry: retryPolicy,
  },
  copyShards: {
    taskQueue: taskQueues.copy,
    startToCloseTimeout: copyTimeoutMs,
    heartbeatTimeout: heartbeatTimeoutMs,
    retry: retryPolicy,
  },
  uploadSchema: small,
  commitReceipt: small,
  clearStaging: {
    ...small,
    startToCloseTimeout: clearStagingTimeoutMs,
    heartbeatTimeout: heartbeatTimeoutMs,
    scheduleToCloseTimeout: clearStagingGiveUpMs,
  },
  noticesAreOn: { ...small, startToCloseTimeout: noticesAreOnTimeoutMs, retry: noticesAreOnRetryPolicy },
  sendNotice: { ...small, taskQueue: taskQueues.notice, scheduleToCloseTimeout: noticeGiveUpMs },
} satisfies Record<ForAccount, ActivityOptions>;

const proxies = proxyActivities<Activities>(small);

type ActivityCalls = {
  readonly [Name in ForAccount]: (
    summary: string,
    ...args: Parameters<Activities[Name]>
  ) => ReturnType<Activities[Name]>;
};

/**
 * The activities as a workflow of this account calls them: each with its timeouts, a summary that the UI shows, and the
 * account as fairness key, so that one customer's many shards do not hold up another's few.
 */
export function activitiesFor(accountId: AccountId): ActivityCalls {
  const priority = { fairnessKey: accountId };
  return {
    assumeCustomerRole: (summary, ...args) =>
      proxies.assumeCustomerRole.executeWithOptions({ ...options.assumeCustomerRole, summary, priority }, args),
    extractTable: (summary, ...args) =>
      proxies.extractTable.executeWithOptions({ ...options.extractTable, ...endsFirst(), summary, priority }, args),
    copyShards: (summary, ...args) =>
      proxies.copyShards.executeWithOptions({ ...options.copyShards, summary, priority }, args),
    uploadSchema: (summary, ...args) =>
      proxies.uploadSchema.executeWithOptions({ ...options.uploadSchema, summary, priority }, args),
    commitReceipt: (summary, ...args) =>
      proxies.commitReceipt.executeWithOptions({ ...options.commitReceipt, summary, priority }, args),
    clearStaging: (summary, ...args) =>
      proxies.clearStaging.executeWithOptions({ ...options.clearStaging, summary, priority }, args),
    noticesAreOn: (summary, ...args) =>
      proxies.noticesAreOn.executeWithOptions({ ...options.noticesAreOn, summary, priority }, args),
    sendNotice: (summary, ...args) =>
      proxies.sendNotice.executeWithOptions({ ...options.sendNotice, summary, priority }, args),
  };
}

/** Cancelled, it returns when it has ended or, where its worker has died, when its heartbeats are missed. */
const endsFirst = (): ActivityOptions =>
  patched('extraction-ends-first') ? { cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED } : {};

/**
 * As it was asked before it became an activity like the others. A local activity that ends while its workflow answers a
 * query is told to the workflow with the next task, after other results, but before them in a replay: such a dump did
 * not replay (TMPRL1100, seen with SDK 1.24).
 */
export const { noticesAreOn: noticesAreOnLocally } = proxyLocalActivities<Activities>({
  startToCloseTimeout: noticesAreOnTimeoutMs,
  retry: { maximumAttempts: 1 },
});

const forPerson = (accountId: AccountId): ActivityOptions & { summary: string } => ({
  ...small,
  retry: connectRetryPolicy,
  summary: 'prove access',
  priority: { fairnessKey: accountId },
});

/** For who waits for its answer: a transient fault is tried again a little, then reported. */
export const checkAccess = (accountId: AccountId, ...args: Parameters<Activities['checkAccess']>) =>
  proxies.checkAccess.executeWithOptions(forPerson(accountId), args);

/** Of all accounts. It lasts as long as there are destinations to ask, and goes on elsewhere where its worker ends. */
export const { askForChecks } = proxyActivities<Activities>({
  ...small,
  startToCloseTimeout: accessRoundGiveUpMs,
  scheduleToCloseTimeout: accessRoundGiveUpMs,
  heartbeatTimeout: heartbeatTimeoutMs,
});

/** As `connect` proved access before there was {@link checkAccess}. */
export const assumeCustomerRole = (accountId: AccountId, ...args: Parameters<Activities['assumeCustomerRole']>) =>
  proxies.assumeCustomerRole.executeWithOptions(forPerson(accountId), args);
