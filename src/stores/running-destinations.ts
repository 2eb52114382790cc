import { WorkflowNotFoundError, type Client } from '@temporalio/client';
import { searchAttributeNames } from '../contract';
import { checkAccessSignal } from '../workflows/messages';

export interface DestinationPage {
  readonly workflowIds: readonly string[];
  /** What the next page is asked for by; absent where there is none. */
  readonly next: string | undefined;
}

/** The destination workflows of all customers. */
export interface RunningDestinations {
  /** A page of those that may have something to deliver. Eventually consistent. */
  list(page: string | undefined): Promise<DestinationPage>;
  /** Returns as soon as it is asked. `false` where it has ended. */
  askToCheck(workflowId: string): Promise<boolean>;
}

/** Also those of older code that have published no state yet. Others would be woken for nothing. */
const query =
  `WorkflowType = "destination" AND ExecutionStatus = "Running" AND ` +
  `(${searchAttributeNames.state} IS NULL OR ${searchAttributeNames.state} NOT IN ("NotConnected", "Paused"))`;

const pageSize = 100;

export class TemporalDestinations implements RunningDestinations {
  constructor(private readonly client: Client) {}

  async list(page: string | undefined): Promise<DestinationPage> {
    const { executions, nextPageToken } = await this.client.workflowService.listWorkflowExecutions({
      namespace: this.client.options.namespace,
      query,
      pageSize,
      ...(page === undefined ? {} : { nextPageToken: Buffer.from(page, 'base64') }),
    });
    return {
      workflowIds: (executions ?? []).flatMap(({ execution }) => execution?.workflowId ?? []),
      next: nextPageToken?.length ? Buffer.from(nextPageToken).toString('base64') : undefined,
    };
  }

  async askToCheck(workflowId: string): Promise<boolean> {
    try {
      await this.client.workflow.getHandle(workflowId).signal(checkAccessSignal);
      return true;
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return false;
      throw error;
    }
  }
}
