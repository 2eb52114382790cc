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
import * as workflows from '../../src/workflows';

const folder = path.join(__dirname, '..', 'histories');
const sources = path.join(__dirname, '..', '..', 'src', 'workflows');
const names = readdirSync(folder).filter((name) => name.endsWith('.json'));

let workflowBundle: WorkflowBundleWithSourceMap;
beforeAll(async () => {
  const logger = new DefaultLogger('ERROR');
  Runtime.install({ logger, telemetryOptions: { logging: { filter: 'ERROR', forward: {} } } });
  workflowBundle = await bundleWorkflowCode({ workflowsPath: sources, logger });
});

interface Recorded {
  readonly workflowId: string;
  readonly history: Record<string, unknown>;
}

const recorded = (name: string): Recorded => JSON.parse(readFileSync(path.join(folder, name), 'utf8')) as Recorded;

const historyOf = ({ history }: Recorded) => temporal.api.history.v1.History.fromObject(history);

const replay = (of: Recorded): Promise<void> =>
  Worker.runReplayHistory({ workflowBundle }, historyOf(of), of.workflowId);

test('there is a history of every workflow, and of every patch that one asks for', () => {
  const events = names.flatMap((name) => historyOf(recorded(name)).events);
  const types = events.flatMap(
    ({ workflowExecutionStartedEventAttributes: started }) => started?.workflowType?.name ?? [],
  );
  expect([...new Set(types)].toSorted()).toEqual(Object.keys(workflows).toSorted());
  const patches = events.flatMap(({ markerRecordedEventAttributes: marker }) =>
    marker?.markerName === 'core_patch' ? patchIn(marker.details?.['patch-data']?.payloads?.[0]?.data) : [],
  );
  expect([...new Set(patches)].toSorted()).toEqual(askedPatches());
});

const patchIn = (data: Uint8Array | null | undefined): string =>
  (JSON.parse(Buffer.from(data ?? []).toString()) as { readonly id: string }).id;

/** As the code names them: `patched('…')`. */
function askedPatches(): string[] {
  const files = readdirSync(sources).map((name) => readFileSync(path.join(sources, name), 'utf8'));
  const asked = files.flatMap((text) => [...text.matchAll(/patched\('([\w-]+)'\)/g)].map(([, id = '']) => id));
  return [...new Set(asked)].toSorted();
}

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
