/** With a key file, Temporal keeps nothing of a dump that can be read without it; who has the key reads everything. */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { Client } from '@temporalio/client';
import type { Payload } from '@temporalio/common';
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
import { plainText } from './plain-text';

const account = parseAccountId('acc_sealed');
const bucket = parseBucketName('sealed-data-platform');
const tables = ['contacts', 'revenue_attribution'];
const reason = 'somebody-else';

let folder: string;
let keyFile: string;
let key: Buffer;
let worker: Running;
let endToEnd: EndToEnd;
let client: Client;
let destinations: Destinations;
let customer: CustomerAccount;

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'sealed-'));
  keyFile = path.join(folder, 'keys');
  key = randomBytes(32);
  await writeFile(keyFile, `2026-11 ${key.toString('base64')}\n`, { mode: 0o600 });
  endToEnd = await EndToEnd.start({ scale: 0.01, shardRows: 500 });
  const { connection } = endToEnd.client;
  client = new Client({ connection, dataConverter: createDataConverter(await openKeys(readKeyFile(keyFile))) });
  destinations = new Destinations(client);
  [customer] = await Promise.all([
    endToEnd.sandbox.addCustomer(account, bucket, { roleName: 'sealed-role', region: 'us-east-1' }),
    endToEnd.startWorker({ PAYLOAD_KEY_FILE: keyFile }).then((started) => (worker = started)),
  ]);
});
afterAll(async () => {
  await endToEnd?.stop();
  await rm(folder, { recursive: true });
});

const execute = promisify(execFile);
const commandLine = (keys: Record<string, string>, ...args: string[]) =>
  execute(process.execPath, [compiled('src', 'client.js'), ...args], {
    env: { PATH: process.env['PATH'], ...endToEnd.sandbox.environment, ...keys },
  });

test('a dump that fails, waits, is mended and delivered can be followed with the key, and with the key only', async () => {
  await destinations.connect(account, { roleArn: customer.roleArn, bucket, tables });
  await customer.setTrust(trustPolicy(parseAccountId(reason)));
  await destinations.modellingRunSucceeded(account, { runId: 'run-of-november', finishedAt: new Date(), dataset });
  const { dump } = await eventually(
    () => destinations.status(account),
    ({ dump: atWork }) => atWork?.state === 'NeedsAttention',
  );
  expect(dump?.stepFault).toMatchObject({
    type: 'RoleNotAssumable',
    problem: expect.stringContaining(account) as string,
  });

  const { stdout } = await commandLine({ PAYLOAD_KEY_FILE: keyFile }, 'status', account);
  expect(stdout).toContain(`${account} is connected: s3://${bucket}/`);
  expect(stdout).toContain('RoleNotAssumable');
  await expect(commandLine({}, 'status', account)).rejects.toMatchObject({
    code: 1,
    stdout: '',
    stderr: "Payloads are encrypted here, with the key '2026-11': set PAYLOAD_KEY_FILE to a file that holds it.\n",
  });
  // A refused request says why as it does in the clear.
  await expect(destinations.connect(account, { roleArn: customer.roleArn, bucket })).rejects.toMatchObject({
    cause: { type: 'RoleNotAssumable', message: expect.stringContaining(customer.roleArn) as string },
  });

  await customer.setTrust(trustPolicy(account));
  await destinations.retry(account);
  const delivered = async () => (await destinations.status(account)).destination.recentDumps.at(-1);
  expect(await eventually(delivered, (outcome) => outcome !== undefined)).toMatchObject({
    outcome: 'delivered',
    runId: 'run-of-november',
  });
  expect((await customer.objects()).map(({ Key }) => Key)).toContain('receipt.json');
});

test('what Temporal keeps can be found by search attributes and read by nobody without the key', async () => {
  const words = [
    bucket,
    customer.roleArn,
    'sealed-role',
    ...tables,
    dataset,
    'run-of-november',
    'receipt.json',
    reason,
    ...waysToWriteTheKey(),
  ];
  let histories = 0;
  for await (const { workflowId, runId } of client.workflow.list({ query: `S3DestinationAccount = "${account}"` })) {
    histories += 1;
    const handle = client.workflow.getHandle(workflowId, runId);
    const [history, { raw }] = await Promise.all([handle.fetchHistory(), handle.describe()]);
    const kept = [history, raw].map(withoutSearchAttributes);
    const text = plainText(kept);
    expect(text.includes('binary/encrypted')).toBe(true);
    expect(words.filter((word) => text.includes(word))).toEqual([]);
    expect(inTheClear(kept).filter((payload) => !isOfTemporal.test(payload))).toEqual([]);
  }
  expect(histories).toBeGreaterThanOrEqual(2);
});

const waysToWriteTheKey = (): string[] => [key.toString('base64'), key.toString('hex'), key.toString('utf8')];

/** What Temporal's own core writes beside the payloads: names of patches, and of local activities. */
const isOfTemporal = /^\{"(id":"[\w-]+","deprecated"|seq"|complete_time")/;

/** The payloads that anybody can read. */
function inTheClear(value: unknown): string[] {
  if (ArrayBuffer.isView(value) || typeof value !== 'object' || value === null) return [];
  const { metadata, data } = value as Payload;
  const encoding = Buffer.from(metadata?.['encoding'] ?? []).toString();
  if (encoding !== '') return encoding === 'binary/encrypted' ? [] : [Buffer.from(data ?? []).toString()];
  return Object.values(value).flatMap(inTheClear);
}

/** Temporal needs them as they are: lists are filtered by them. */
const withoutSearchAttributes = (value: unknown): unknown => {
  if (ArrayBuffer.isView(value) || typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(withoutSearchAttributes);
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, of]) =>
      /searchAttributes/i.test(name) ? [] : [[name, withoutSearchAttributes(of)]],
    ),
  );
};

test("the codec server shows the UI's page what a history holds, and no other page", async () => {
  const port = String(await freePort());
  const origin = new URL(endToEnd.sandbox.temporal.uiUrl).origin;
  const server = start('The codec server', process.execPath, [compiled('src', 'codec-server.js')], {
    ...{ PAYLOAD_KEY_FILE: keyFile, CODEC_SERVER_PORT: port, CODEC_SERVER_ORIGIN: origin },
  });
  try {
    await untilReady(server, async () => server.output().includes(`for ${origin}`));
    const history = await client.workflow.getHandle(`destination/${account}`).fetchHistory();
    const [payload] =
      history.events?.flatMap(
        ({ workflowExecutionSignaledEventAttributes: signal }) => signal?.input?.payloads ?? [],
      ) ?? [];
    const asJson = {
      metadata: Object.fromEntries(
        Object.entries(payload?.metadata ?? {}).map(([name, bytes]) => [name, Buffer.from(bytes).toString('base64')]),
      ),
      data: Buffer.from(payload?.data ?? []).toString('base64'),
    };
    const ask = (page: string) =>
      fetch(`http://127.0.0.1:${port}/decode`, {
        method: 'POST',
        headers: { origin: page, 'content-type': 'application/json', 'x-namespace': 'default' },
        body: JSON.stringify({ payloads: [asJson] }),
      });
    const answer = (await (await ask(origin)).json()) as { payloads: { data: string }[] };
    expect(Buffer.from(answer.payloads[0]?.data ?? '', 'base64').toString()).toContain('run-of-november');
    expect((await ask('https://evil.example')).status).toBe(403);
    expect(server.output()).not.toContain('run-of-november');
  } finally {
    await server.stop();
  }
});

test('a worker without the key says so and harms nothing: one with the key goes on', async () => {
  await worker.stop();
  const keyless = await endToEnd.startWorker();
  await destinations.pause(account);
  const says = async () => keyless.output().includes("Payloads are encrypted here, with the key '2026-11'");
  expect(await eventually(says, Boolean, 30_000)).toBe(true);
  await keyless.stop();
  const logs = worker.output() + keyless.output();
  expect(waysToWriteTheKey().filter((written) => logs.includes(written))).toEqual([]);
  await endToEnd.startWorker({ PAYLOAD_KEY_FILE: keyFile });
  const paused = async () => (await destinations.status(account)).destination.paused;
  expect(await eventually(paused, Boolean)).toBe(true);
});
