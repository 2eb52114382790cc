/** `npm run bundle`: builds the workflow code once, so that production workers start fast and run what was tested. */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { bundleWorkflowCode, DefaultLogger } from '@temporalio/worker';
import { failureConverterPath } from './codec/data-converter';

/**
 * Where `npm run bundle` puts the workflow code and where a worker in production finds it. A failure converter is part of
 * the workflow code, so there is a bundle with it and one without.
 */
export const workflowBundlePath = (failureConverter: string | undefined): string =>
  path.join(
    __dirname,
    '..',
    '..',
    failureConverter === undefined ? 'workflow-bundle.js' : 'workflow-bundle-encrypted.js',
  );

async function writeWorkflowBundles(): Promise<void> {
  const workflowsPath = path.join(__dirname, 'workflows');
  const logger = new DefaultLogger('WARN');
  const plain = await bundleWorkflowCode({ workflowsPath, logger });
  await writeFile(workflowBundlePath(undefined), plain.code);
  const encrypted = await bundleWorkflowCode({ workflowsPath, failureConverterPath, logger });
  await writeFile(workflowBundlePath(failureConverterPath), encrypted.code);
}

if (require.main === module) void writeWorkflowBundles();
