/** A payload key that only KMS can open: it is rotated, and had at the start of a process or never. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import type { Payload } from '@temporalio/common';
import { allowWorker, KmsKeys, vendor, type CustomerAccount } from '../../sandbox/aws';
import { compiled, start, type Running } from '../../sandbox/processes';
import type { DestinationReport } from '../../src/client/destinations';
import { parseAccountId, parseBucketName } from '../../src/dump/inputs';
import { unwrapPolicy } from '../../src/dump/policies';
import { eventually } from '../eventually';
import { dataset, EndToEnd } from './environment';

const account = parseAccountId('acc_wrapped');
const bucket = parseBucketName('wrapped-data-platform');

let folder: string;
let keyFile: string;
let endToEnd: EndToEnd;
let endpoint: string;
let kms: KmsKeys;
let kmsKeyArn: string;
let customer: CustomerAccount;
let worker: Running;
let oldLine: string;

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'wrapped-'));
  keyFile = path.join(folder, 'keys');
  endToEnd = await EndToEnd.start({ scale: 0.01, shardRows: 500 });
  endpoint = endToEnd.sandbox.environment['AWS_ENDPOINT_URL'] ?? '';
  // In another region than the worker's.
  kms = new KmsKeys(vendor.account, endpoint, 'eu-central-1');
  kmsKeyArn = await kms.create();
  await allowWorker(endpoint, unwrapPolicy(kmsKeyArn));
  oldLine = `2026-11 ${await kms.wrapNew(kmsKeyArn)}`;
  await writeLines(oldLine);
  [customer] = await Promise.all([
    endToEnd.sandbox.addCustomer(account, bucket, { roleName: 'wrapped', region: 'us-east-1' }),
    startWorker(),
  ]);
});
afterAll(async () => {
  await endToEnd?.stop();
  await rm(folder, { recursive: true });
});

const writeLines = (...lines: string[]): Promise<void> => writeFile(keyFile, `${lines.join('\n')}\n`, { mode: 0o644 });

const withKeys = (): Record<string, string> => ({ ...endToEnd.sandbox.environment, PAYLOAD_KEY_FILE: keyFile });

/** With a process of its own that copies, which opens the file, too. */
async function startWorker(): Promise<void> {
  worker = await endToEnd.sandbox.startWorker({ PAYLOAD_KEY_FILE: keyFile }, 'all', undefined, 1);
}

const execute = promisify(execFile);
const commandLine = (...args: string[]) =>
  execute(process.execPath, [compiled('src', 'client.js'), ...args], {
    env: { PATH: process.env['PATH'], ...withKeys() },
  });

const connect = (tables: string) =>
  commandLine('connect', account, '--role-arn', customer.roleArn, '--bucket', bucket, '--tables', tables);

/** Seen from outside, without any key. */
const isDelivered = (runId: string): Promise<boolean> =>
  eventually(
    async () =>
      (await endToEnd.client.workflow.count(`S3DestinationRun = "${runId}" AND S3DestinationState = "Delivered"`))
        .count > 0,
    Boolean,
  );

/** The keys that the payloads of the history are encrypted with, in their order. */
async function keysInHistory(workflowId: string): Promise<string[]> {
  return keyIdsIn(await endToEnd.client.workflow.getHandle(workflowId).fetchHistory());
}

function keyIdsIn(value: unknown): string[] {
  if (ArrayBuffer.isView(value) || typeof value !== 'object' || value === null) return [];
  const keyId = (value as Payload).metadata?.['encryption-key-id'];
  return keyId === undefined ? Object.values(value).flatMap(keyIdsIn) : [Buffer.from(keyId).toString()];
}

test('a dump is delivered with a key that no disk holds, and KMS is needed by nothing that runs already', async () => {
  await connect('contacts');
  await commandLine('run-succeeded', account, '--run-id', 'run-1', '--dataset', dataset);
  await kms.disable(kmsKeyArn);
  await expect(commandLine('status', account)).rejects.toMatchObject({
    code: 1,
    stdout: '',
    stderr: `The KMS key of the payload key cannot be used [payloadKey=2026-11 kmsKey=${kmsKeyArn}]: DisabledException: ${kmsKeyArn} is disabled. For us to mend: enable it, or cancel its deletion.\n`,
  });
  expect(await isDelivered('run-1')).toBe(true);
  expect((await customer.objects()).map(({ Key }) => Key)).toContain('receipt.json');
  await kms.enable(kmsKeyArn);
  expect((await commandLine('status', account)).stdout).toContain(`${account} is connected: s3://${bucket}/`);
  expect(new Set(await keysInHistory(`destination/${account}`))).toEqual(new Set(['2026-11']));
});

test('with a new key on top new payloads have it, and those of the old one, which stays, are read', async () => {
  await writeLines(`2026-12 ${await kms.wrapNew(kmsKeyArn)}`, oldLine);
  await worker.stop();
  await startWorker();
  await connect('contacts,revenue');
  const { stdout } = await commandLine('status', account, '--json');
  const { destination } = JSON.parse(stdout) as DestinationReport;
  expect(destination.settings).toMatchObject({ tables: ['contacts', 'revenue'] });
  expect(destination.recentDumps).toMatchObject([{ runId: 'run-1', outcome: 'delivered' }]);
  const keys = await keysInHistory(`destination/${account}`);
  expect(keys.at(0)).toBe('2026-11');
  expect(keys.at(-1)).toBe('2026-12');
  expect(keys.lastIndexOf('2026-11')).toBeLessThan(keys.indexOf('2026-12'));
});

test.each([
  ['worker', 'worker.js', { STAGING_BUCKETS: 'EU=vendor-staging-eu' }],
  ['codec server', 'codec-server.js', { CODEC_SERVER_ORIGIN: 'http://localhost:8233', CODEC_SERVER_PORT: '0' }],
])('a %s that may not decrypt says so in a sentence and does not start', async (_what, program, settings) => {
  await allowWorker(endpoint, unwrapPolicy(await kms.create()));
  const refused = start('It', process.execPath, [compiled('src', program)], { ...withKeys(), ...settings });
  expect(await refused.exited).toBe(1);
  const said = refused.output().trim().split('\n');
  expect(said).toHaveLength(1);
  expect(said[0]).toContain(`KMS refuses to unwrap the payload key [payloadKey=2026-12 kmsKey=${kmsKeyArn}]`);
  expect(said[0]).toContain(JSON.stringify(unwrapPolicy(kmsKeyArn)));
});

test("the pipeline's client loads nothing of AWS as long as there is nothing to unwrap", async () => {
  const loaded = `require(${JSON.stringify(compiled('src', 'client.js'))}); console.log(Object.keys(require.cache).join())`;
  const { stdout } = await execute(process.execPath, ['-e', loaded]);
  expect(stdout).toContain('open-keys.js');
  expect(stdout).not.toMatch(/aws-sdk|smithy|key-service/);
});
