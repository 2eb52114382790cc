/** A deployment while a dump is under way, with Worker Versioning: the dump stays with the code that began it. */
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { bundleWorkflowCode, DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { compiled, projectFolder } from '../../sandbox/processes';
import { parseAccountId, parseBucketName } from '../../src/dump/inputs';
import { trustPolicy } from '../../src/dump/policies';
import { destinationWorkflowId } from '../../src/contract';
import { eventually } from '../eventually';
import { dataset, EndToEnd } from './environment';

const deploymentName = 's3-destination';
const account = parseAccountId('deployed');
const bucket = parseBucketName('deployed-data');

let endToEnd: EndToEnd;
let changed: string;

beforeAll(async () => {
  // A history that does not replay is what the test expects: its reader need not see it.
  Runtime.install({
    logger: new DefaultLogger('ERROR'),
    telemetryOptions: { logging: { filter: 'OFF', forward: {} } },
  });
  changed = await changedProgram();
  endToEnd = await EndToEnd.start({ scale: 0.01, shardRows: 100 });
});
afterAll(async () => {
  await endToEnd?.stop();
  await rm(changed, { recursive: true, force: true });
});

/** The program with a dump that no longer proves access first: a change that no history of a dump under way replays. */
async function changedProgram(): Promise<string> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'changed-program-'));
  await cp(path.dirname(compiled('src')), path.join(folder, 'lib'), { recursive: true });
  await symlink(path.join(projectFolder, 'node_modules'), path.join(folder, 'node_modules'));
  const file = path.join(folder, 'lib', 'src', 'workflows', 'dump.js');
  const code = await readFile(file, 'utf8');
  expect(code).toContain('await proveAccess();');
  await writeFile(file, code.replace('await proveAccess();', ''));
  return folder;
}

const startVersion = (buildId: string, program?: string) =>
  endToEnd.startWorker({ TEMPORAL_WORKER_BUILD_ID: buildId }, 'all', program);

/** As `temporal worker deployment set-current-version` does; the server knows a version once a worker of it polls. */
async function setCurrent(buildId: string): Promise<void> {
  const { workflowService } = endToEnd.client;
  const request = { namespace: 'default', deploymentName, buildId, ignoreMissingTaskQueues: false };
  await eventually(
    () =>
      workflowService.setWorkerDeploymentCurrentVersion(request).then(
        () => 'set',
        (error: unknown) => String(error),
      ),
    (answer) => answer === 'set',
  );
}

async function buildIdOf(workflowId: string): Promise<string | undefined> {
  const { raw } = await endToEnd.client.workflow.getHandle(workflowId).describe();
  return raw.workflowExecutionInfo?.versioningInfo?.deploymentVersion?.buildId ?? undefined;
}

const announce = (runId: string) =>
  endToEnd.destinations.modellingRunSucceeded(account, { runId, finishedAt: new Date(), dataset });

test('a dump under way ends on the version that began it, and the next dump begins on the new one', async () => {
  const customer = await endToEnd.sandbox.addCustomer(account, bucket, { roleName: 'deployed', region: 'us-east-1' });
  const former = await startVersion('1');
  await setCurrent('1');
  await endToEnd.destinations.connect(account, { roleArn: customer.roleArn, bucket, tables: ['contacts'] });

  await customer.setTrust(trustPolicy(parseAccountId('somebody-else')));
  await announce('run-1');
  const { destination } = await eventually(
    () => endToEnd.destinations.status(account),
    ({ dump }) => dump?.state === 'NeedsAttention',
  );
  const underWay = destination.currentDump?.workflowId ?? '';

  const latter = await startVersion('2', changed);
  await setCurrent('2');
  await customer.setTrust(trustPolicy(account));
  await endToEnd.destinations.retry(account);
  expect(await endToEnd.ended(account, 'run-1')).toMatchObject({ outcome: 'delivered' });
  expect(await buildIdOf(underWay)).toBe('1');
  await expect(replayByChanged(underWay)).rejects.toThrow(/determinism/i);

  await announce('run-2');
  const ended = await endToEnd.ended(account, 'run-2');
  expect(ended).toMatchObject({ outcome: 'delivered' });
  expect(await buildIdOf(`dump/${account}/${ended.folder}`)).toBe('2');
  // The destination, which never ends, has moved on.
  expect(await buildIdOf(destinationWorkflowId(account))).toBe('2');

  await Promise.all([former.stop(), latter.stop()]);
});

/** What would have become of the dump without versioning. */
async function replayByChanged(workflowId: string): Promise<void> {
  const history = await endToEnd.client.workflow.getHandle(workflowId).fetchHistory();
  const workflowsPath = path.join(changed, 'lib', 'src', 'workflows');
  const workflowBundle = await bundleWorkflowCode({ workflowsPath, logger: new DefaultLogger('ERROR') });
  await Worker.runReplayHistory({ workflowBundle }, history, workflowId);
}
