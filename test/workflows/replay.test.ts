import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { temporal } from '@temporalio/proto';
import {
  bundleWorkflowCode,
  DefaultLogger,
  Runtime,
  Worker,
  type WorkflowBundleWithSourceMap,
} from '@temporalio/worker';

const folder = path.join(__dirname, '..', 'histories');
const names = readdirSync(folder).filter((name) => name.endsWith('.json'));

let workflowBundle: WorkflowBundleWithSourceMap;
beforeAll(async () => {
  const logger = new DefaultLogger('ERROR');
  Runtime.install({ logger, telemetryOptions: { logging: { filter: 'ERROR', forward: {} } } });
  const workflowsPath = path.join(__dirname, '..', '..', 'src', 'workflows');
  workflowBundle = await bundleWorkflowCode({ workflowsPath, logger });
});

interface Recorded {
  readonly workflowId: string;
  readonly history: Record<string, unknown>;
}

const recorded = (name: string): Recorded => JSON.parse(readFileSync(path.join(folder, name), 'utf8')) as Recorded;

const replay = ({ workflowId, history }: Recorded): Promise<void> =>
  Worker.runReplayHistory({ workflowBundle }, temporal.api.history.v1.History.fromObject(history), workflowId);

test('there are histories of every path', () => {
  expect(names.length).toBeGreaterThanOrEqual(20);
});

test.each(names)('today’s workflows replay %s', async (name) => {
  await expect(replay(recorded(name))).resolves.toBeUndefined();
});

test('a history that today’s workflows would not have made is found out', async () => {
  const text = JSON.stringify(recorded('dump-delivered.json'));
  const other = text
    .replaceAll(base64('assumeCustomerRole'), base64('anotherActivity'))
    .replaceAll('"assumeCustomerRole"', '"anotherActivity"');
  await expect(replay(JSON.parse(other) as Recorded)).rejects.toThrow(/determinism|assumeCustomerRole/i);
});

const base64 = (plain: string): string => Buffer.from(plain).toString('base64');
