/** Against Temporal's dev server: only a real one has a list to ask. */
import { Client, Connection } from '@temporalio/client';
import { NativeConnection } from '@temporalio/worker';
import os from 'node:os';
import path from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { mkdtemp, rm } from 'node:fs/promises';
import { freePort } from '../../sandbox/ports';
import { startTemporalServer, type TemporalServer } from '../../sandbox/temporal-server';
import { searchAttributeNames } from '../../src/contract';
import { registerSearchAttributes } from '../../src/search-attributes';
import { TemporalDestinations } from '../../src/stores/running-destinations';
import { eventually } from '../eventually';

let folder: string;
let server: TemporalServer;
let connection: Connection;
let workerConnection: NativeConnection;
let client: Client;
let destinations: TemporalDestinations;

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'destinations-'));
  const databaseFile = path.join(folder, 'temporal.db');
  server = await startTemporalServer({ port: await freePort(), uiPort: await freePort(), databaseFile }, () => {});
  const address = server.environment['TEMPORAL_ADDRESS'] ?? '';
  connection = await Connection.connect({ address });
  await registerSearchAttributes(connection, 'default');
  client = new Client({ connection });
  // As an activity's client: over the connection of its worker.
  workerConnection = await NativeConnection.connect({ address });
  destinations = new TemporalDestinations(new Client({ connection: workerConnection }));
});
afterAll(async () => {
  await workerConnection.close();
  await connection.close();
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

const start = (workflowId: string, state?: string, workflowType = 'destination') =>
  client.workflow.start(workflowType, {
    workflowId,
    taskQueue: 'nobody-works-here',
    ...(state === undefined ? {} : { searchAttributes: { [searchAttributeNames.state]: [state] } }),
  });

async function pages(): Promise<(readonly string[])[]> {
  const found: (readonly string[])[] = [];
  let next: string | undefined;
  do {
    const page = await destinations.list(next);
    found.push(page.workflowIds);
    ({ next } = page);
  } while (next !== undefined);
  return found;
}

test('all that may deliver are found, page by page, each once; those that cannot are not', async () => {
  const connected = Array.from({ length: 230 }, (_, index) => `destination/acc_${index}`);
  const states = ['Waiting', 'Delivered', 'AccessRefused', undefined];
  await Promise.all([
    ...connected.map((workflowId, index) => start(workflowId, states[index % states.length])),
    start('destination/acc_new', 'NotConnected'),
    start('destination/acc_paused', 'Paused'),
    start('dump/acc_1/2023-01-02T15:04', 'Running', 'dump'),
    start('destination/acc_ended', 'Waiting').then((handle) => handle.terminate()),
  ]);
  // Temporal's list is a moment behind.
  const found = await eventually(pages, (soFar) => isDeepStrictEqual(soFar.flat().toSorted(), connected.toSorted()));
  expect(found.map(({ length }) => length)).toEqual([100, 100, 30]);
});

test('one that runs is asked by a signal, one that has ended is none', async () => {
  const handle = await start('destination/acc_asked', 'Waiting');
  expect(await destinations.askToCheck(handle.workflowId)).toBe(true);
  const { events } = await handle.fetchHistory();
  expect(events?.flatMap((event) => event.workflowExecutionSignaledEventAttributes?.signalName ?? [])).toEqual([
    'checkAccess',
  ]);
  await handle.terminate();
  expect(await destinations.askToCheck(handle.workflowId)).toBe(false);
  expect(await destinations.askToCheck('destination/acc_never')).toBe(false);
});
