import { workflowInfo } from '@temporalio/workflow';

type Behavior = 'PINNED' | 'AUTO_UPGRADE';

/** Options for `defineWorkflowOptions`. The server refuses a behaviour from a worker that is of no deployment. */
export const versioned = (versioningBehavior: Behavior) => ({
  workflowDefinitionOptions: () =>
    workflowInfo().currentDeploymentVersion?.deploymentName ? { versioningBehavior } : {},
});
