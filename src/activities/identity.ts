import { activityInfo } from '@temporalio/activity';
import {
  identityOfDump,
  identityOfWorkflow,
  type AccountId,
  type DestinationSettings,
  type FolderName,
} from '../contract';
import type { Delivery } from '../stores/customer-bucket';

/** Whom the calling workflow works for. Taken from its id, so that no argument can name another customer. */
export const deliveryTo = (settings: DestinationSettings): Delivery => ({
  ...identityOfWorkflow(callingWorkflowId()),
  settings,
});

/** The account and the folder of the calling dump. */
export const callingDump = (): { accountId: AccountId; folder: FolderName } => identityOfDump(callingWorkflowId());

export function callingWorkflowId(): string {
  const { workflowExecution } = activityInfo();
  if (workflowExecution === undefined) throw new Error('This activity must be called by a workflow');
  return workflowExecution.workflowId;
}
