/** `npm run bundle`: builds the workflow code once, so that production workers start fast and run what was tested. */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { bundleWorkflowCode } from '@temporalio/worker';

/** Where `npm run bundle` puts the workflow code and where a worker in production finds it. */
export const workflowBundlePath = path.join(__dirname, '..', '..', 'workflow-bundle.js');

async function writeWorkflowBundle(): Promise<void> {
  const { code } = await bundleWorkflowCode({ workflowsPath: path.join(__dirname, 'workflows') });
  await writeFile(workflowBundlePath, code);
}

if (require.main === module) void writeWorkflowBundle();
