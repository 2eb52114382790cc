/** What the README and docs/operating.md say of encrypted payloads in Temporal's UI, seen in the real UI. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { Client } from '@temporalio/client';
import type { CustomerAccount } from '../../sandbox/aws';
import { freePort } from '../../sandbox/ports';
import { compiled, start, untilReady, type Running } from '../../sandbox/processes';
import { Destinations } from '../../src/client/destinations';
import { createDataConverter } from '../../src/codec/data-converter';
import { readKeyFile } from '../../src/codec/keys';
import { openKeys } from '../../src/codec/open-keys';
import { parseAccountId, parseBucketName } from '../../src/dump/inputs';
import { trustPolicy } from '../../src/dump/policies';
import { eventually } from '../eventually';
import { dataset, EndToEnd } from './environment';
import type { Asked } from './fault-proxy';
import { TemporalUi } from './temporal-ui';

const account = parseAccountId('acc_sealed');
const bucket = parseBucketName('sealed-data-platform');
const table = 'contacts';
const refused = 'The vendor role may not assume the customer role';

let folder: string;
let endToEnd: EndToEnd;
let codecServer: Running;
let codecUrl: string;
let customer: CustomerAccount;
let destinations: Destinations;
let dumpId: string;
const uis: TemporalUi[] = [];

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'codec-ui-'));
  const keyFile = path.join(folder, 'keys');
  await writeFile(keyFile, `2026-11 ${randomBytes(32).toString('base64')}\n`, { mode: 0o600 });
  endToEnd = await EndToEnd.start({ scale: 0.02, shardRows: 100 });
  const { sandbox, client } = endToEnd;
  const port = await freePort();
  codecUrl = `http://127.0.0.1:${port}`;
  const origin = new URL(sandbox.temporal.uiUrl).origin;
  codecServer = start('The codec server', process.execPath, [compiled('src', 'codec-server.js')], {
    ...{ PAYLOAD_KEY_FILE: keyFile, CODEC_SERVER_PORT: String(port), CODEC_SERVER_ORIGIN: origin },
  });
  const dataConverter = createDataConverter(await openKeys(readKeyFile(keyFile)));
  destinations = new Destinations(new Client({ connection: client.connection, dataConverter }));
  [customer] = await Promise.all([
    sandbox.addCustomer(account, bucket, { roleName: 'sealed-role', region: 'us-east-1' }),
    endToEnd.startWorker({ PAYLOAD_KEY_FILE: keyFile, COPY_ACTIVITIES: '1', COPY_SHARDS_IN_FLIGHT: '1' }),
    untilReady(codecServer, async () => codecServer.output().includes(`for ${origin}`)),
  ]);
  await destinations.connect(account, { roleArn: customer.roleArn, bucket, tables: [table] });
  await customer.setTrust(trustPolicy(parseAccountId('somebody-else')));
  await destinations.modellingRunSucceeded(account, { runId: 'run-42', finishedAt: new Date(), dataset });
  const { destination } = await eventually(
    () => destinations.status(account),
    ({ dump }) => dump?.state === 'NeedsAttention',
  );
  dumpId = destination.currentDump?.workflowId ?? '';
});
afterAll(async () => {
  for (const ui of uis) await ui.close();
  await codecServer?.stop();
  await endToEnd?.stop();
  await rm(folder, { recursive: true });
});

async function openUi(url = endToEnd.sandbox.temporal.uiUrl): Promise<TemporalUi> {
  const ui = await TemporalUi.open(url, 'codec');
  uis.push(ui);
  const ofAccount = `S3DestinationAccount = "${account}" AND WorkflowType = "dump"`;
  // The UI searches once.
  await endToEnd.listed(ofAccount, 1);
  await ui.listWorkflows(ofAccount);
  return ui;
}

test('without a codec server the UI shows of a dump what it is found by, and nothing else', async () => {
  const ui = await openUi();
  await ui.openWorkflow(dumpId);
  await ui.openEvent('Activity Task Failed');
  const tabs = [await ui.shown('Encoded failure', 'assumeCustomerRole', `destination/${account}`)];
  await ui.screenshot('1-sealed-history');
  await ui.openTab('User Metadata');
  tabs.push(await ui.shown('Events with Metadata', 'Decoding failed', 'No Current Details'));
  await ui.openTab('Call Stack');
  tabs.push(await ui.shown('Call stack could not be retrieved. Check if Codec Server is required.'));
  const sealed = [bucket, customer.roleArn, dataset, table, 'assume the customer role', refused, 'proveAccess'];
  expect(sealed.filter((word) => tabs.join().includes(word))).toEqual([]);
});

test("with the codec server that is named in the UI's dialog a dump is read, mended and followed from there", async () => {
  const ui = await openUi();
  await ui.nameCodecServer(codecUrl);
  await ui.openWorkflow(dumpId);
  await ui.shown(bucket, customer.roleArn, dataset, table, 'assume the customer role');
  await ui.openEvent('Activity Task Failed');
  await ui.shown(refused);
  await ui.screenshot('2-open-history');
  await ui.openTab('User Metadata');
  await ui.shown(refused, `run run-42 into ${bucket}`, 'assume the customer role', 'NeedsAttention: assume role');
  await ui.screenshot('3-open-details');
  await ui.openTab('Call Stack');
  await ui.shown('proveAccess');
  await ui.openTab('Queries');
  await ui.runQuery();
  await ui.shown('"stepFault"');

  await ui.openTab('History');
  await ui.sendSignal('retry', '"no-such-table"');
  await ui.openTab('User Metadata');
  await ui.details("retry: table 'no-such-table' does not wait for a retry");
  expect(await encodingsOfSignals()).toEqual(['binary/encrypted']);

  const second = ({ method, path: asked }: Asked): boolean => method === 'PUT' && asked.includes('_000000000001.');
  const reset = endToEnd.proxies.aws.arm({ matches: second, effect: { kind: 'reset', side: 'request' } });
  await customer.setTrust(trustPolicy(account));
  await ui.openTab('History');
  await ui.sendSignal('retry');
  await reset.spent;
  reset.release();
  const held = endToEnd.proxies.aws.arm({
    matches: second,
    effect: { kind: 'hold', side: 'request' },
    times: Infinity,
  });
  await held.hit;
  await ui.openTab('Pending Activities');
  await ui.shown('doneShards', 'Could not put [bucket=');
  await ui.screenshot('4-open-pending-activity');
  held.release();
  await ui.openTab('History');
  await ui.untilStatus('Completed');
  await ui.shown('receiptKey');
});

test("the UI at another address than the codec server's origin is another page, and is answered nothing", async () => {
  const elsewhere = endToEnd.sandbox.temporal.uiUrl.replace('localhost', '127.0.0.1');
  const ui = await openUi(elsewhere);
  await ui.nameCodecServer(codecUrl);
  await ui.openWorkflow(dumpId);
  await ui.untilCodecServerRefuses();
  await ui.openEvent('Activity Task Failed');
  const shown = await ui.shown('Encoded failure', 'assumeCustomerRole');
  expect([bucket, table, 'assume the customer role', refused].filter((word) => shown.includes(word))).toEqual([]);
});

/** As Temporal keeps the inputs of the dump's signals. */
async function encodingsOfSignals(): Promise<string[]> {
  const { events } = await endToEnd.client.workflow.getHandle(dumpId).fetchHistory();
  const payloads = (events ?? []).flatMap(
    ({ workflowExecutionSignaledEventAttributes: signal }) => signal?.input?.payloads ?? [],
  );
  return payloads.map(({ metadata }) => Buffer.from(metadata?.['encoding'] ?? []).toString());
}
