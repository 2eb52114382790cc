/** No key, secret or token is anywhere but in the worker's memory and on its way to AWS, whatever goes wrong. */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import type { CustomerAccount } from '../../sandbox/aws';
import { compiled, start, type Running } from '../../sandbox/processes';
import type { DumpReport } from '../../src/client/destinations';
import { parseAccountId, parseBucketName } from '../../src/dump/inputs';
import { trustPolicy } from '../../src/dump/policies';
import { eventually } from '../eventually';
import { dataset, EndToEnd, twelveHoursAhead } from './environment';
import type { Armed, Asked, Effect } from './fault-proxy';
import { plainText } from './plain-text';

const account = parseAccountId('acc_secrets');
const bucket = parseBucketName('secrets-data');
const table = 'companies';
const noticeSecret = randomBytes(32).toString('base64');
const noticeQuery = 'k3y-in-the-query';

const receiver = http.createServer((request, response) => {
  const answer = (body: string): void => {
    notices += 1;
    note('notice', body);
    response.writeHead(notices === 1 ? 503 : 204).end();
  };
  text(request).then(answer, () => response.destroy());
});
/** The first is refused, and comes again. */
let notices = 0;

let endToEnd: EndToEnd;
let customer: CustomerAccount;
let noticeUrl: string;

interface Place {
  readonly where: string;
  readonly shown: string;
}

/** All that is searched for secrets in the end, by where it was seen. */
const seen: Place[] = [];
const note = (where: string, value: unknown): void =>
  void seen.push({ where, shown: typeof value === 'string' ? value : plainText(value) });

beforeAll(async () => {
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
  noticeUrl = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hook?key=${noticeQuery}`;
  endToEnd = await EndToEnd.start({ scale: 0.05, shardRows: 5 });
  endToEnd.proxies.aws.latencyMs = (asked) => (isShard(asked) ? 300 : 0);
  customer = await endToEnd.sandbox.addCustomer(account, bucket, { roleName: 'secrets', region: 'us-east-1' });
});
afterAll(async () => {
  await endToEnd?.stop();
  receiver.closeAllConnections();
  await new Promise((resolve) => receiver.close(resolve));
});

const isShard = ({ method, path }: Asked): boolean => method === 'PUT' && path.includes('.ndjson.gz');

async function startWorker(): Promise<Running> {
  const worker = await endToEnd.startWorker({
    ...{ COPY_ACTIVITIES: '1', COPY_SHARDS_IN_FLIGHT: '1', ACCESS_CHECK_AT: twelveHoursAhead },
    ...{ NOTICE_URL: noticeUrl, NOTICE_SECRET: `whsec_${noticeSecret}` },
  });
  note('log', worker.output());
  worker.listen((printed) => note('log', printed));
  return worker;
}

const execute = promisify(execFile);

/** Runs a command, and notes what it prints: in vain or not. */
async function commandLine(...args: string[]): Promise<void> {
  const env = { PATH: process.env['PATH'], ...endToEnd.sandbox.environment };
  const done = execute(process.execPath, [compiled('src', 'client.js'), ...args], { env });
  const { stdout, stderr } = await done.catch((error: { stdout: string; stderr: string }) => error);
  note(`command ${args[0] ?? ''}`, stdout + stderr);
}

const dumpWhen = (holds: (dump: DumpReport) => boolean): Promise<unknown> =>
  eventually(
    () => endToEnd.destinations.status(account),
    ({ dump }) => dump !== undefined && holds(dump),
  );

/** As S3 does, which tells whoever sends a bad token what was sent. */
function refusalWithToken(code: string): { matches: (asked: Asked) => boolean; effect: Effect } {
  let asked: Asked | undefined;
  return {
    matches: (each) => {
      if (!isShard(each)) return false;
      asked = each;
      return true;
    },
    effect: {
      kind: 'answer',
      after: 'nothing',
      answer: {
        status: 400,
        contentType: 'application/xml',
        get body() {
          const { authorization = '', 'x-amz-security-token': token } = asked?.headers ?? {};
          const [, keyId = ''] = /Credential=([^/]+)/.exec(authorization) ?? [];
          const [, signature = ''] = /Signature=(\w+)/.exec(authorization) ?? [];
          return `<Error><Code>${code}</Code><Message>It was refused to ${keyId}.</Message><AWSAccessKeyId>${keyId}</AWSAccessKeyId><SignatureProvided>${signature}</SignatureProvided><Token-0>${String(token)}</Token-0></Error>`;
        },
      },
    },
  };
}

async function noteWhatTemporalShows(): Promise<void> {
  for await (const { workflowId, runId, status, memo, searchAttributes } of endToEnd.client.workflow.list()) {
    const handle = endToEnd.client.workflow.getHandle(workflowId, runId);
    expect({ workflowId, memo: { ...memo } }).toEqual({ workflowId, memo: {} });
    note(`list ${workflowId}`, searchAttributes);
    note(`description ${workflowId}`, await handle.describe());
    note(`history ${workflowId}`, await handle.fetchHistory());
    if (status.name === 'RUNNING') note(`details ${workflowId}`, await handle.query('__temporal_workflow_metadata'));
  }
  const { schedule } = endToEnd.client;
  for await (const { scheduleId } of schedule.list()) {
    note(`schedule ${scheduleId}`, await schedule.getHandle(scheduleId).describe());
  }
}

/** From when what was armed before it is released, shards wait until it is: those that are left cannot run out meanwhile. */
const holdShards = (): Armed =>
  endToEnd.proxies.aws.arm({ matches: isShard, effect: { kind: 'hold', side: 'request' }, times: Infinity });

/** Heartbeats and last failures are kept only while an activity is under way. */
async function noteHeartbeats(): Promise<void> {
  const { destination } = await endToEnd.destinations.status(account);
  const handle = endToEnd.client.workflow.getHandle(destination.currentDump?.workflowId ?? '');
  const { raw } = await eventually(
    () => handle.describe(),
    ({ raw: description }) =>
      (description.pendingActivities ?? []).some(
        ({ heartbeatDetails, lastFailure }) => heartbeatDetails?.payloads && lastFailure,
      ),
  );
  for (const { heartbeatDetails, lastFailure } of raw.pendingActivities ?? []) {
    note('heartbeat', heartbeatDetails);
    note('last failure', lastFailure);
  }
  await noteWhatTemporalShows();
}

/** What customers are given beside their rows. */
async function noteDocuments(): Promise<void> {
  for (const { Key } of await customer.objects()) {
    if (Key.endsWith('.json')) note(`object ${Key}`, Buffer.from((await customer.read(Key)).bytes).toString());
  }
}

test('a dump that is refused, breaks, loses its worker and is delivered leaves no secret anywhere', async () => {
  const worker = await startWorker();
  await customer.setTrust(trustPolicy(parseAccountId('somebody-else')));
  await commandLine('connect', account, '--role-arn', customer.roleArn, '--bucket', bucket, '--tables', table);
  await customer.setTrust(trustPolicy(account));
  await commandLine('connect', account, '--role-arn', customer.roleArn, '--bucket', bucket, '--tables', table);
  await customer.setTrust(trustPolicy(parseAccountId('somebody-else')));
  await commandLine('run-succeeded', account, '--run-id', 'run-1', '--dataset', dataset);
  await dumpWhen(({ state }) => state === 'NeedsAttention');
  await eventually(
    async () => notices,
    (count) => count >= 2,
  );
  await commandLine('status', account);
  await commandLine('status', account, '--json');
  await commandLine('status');
  await noteWhatTemporalShows();

  const expired = endToEnd.proxies.aws.arm({ ...refusalWithToken('ExpiredToken'), times: 2 });
  const untilShown = holdShards();
  await customer.setTrust(trustPolicy(account));
  await commandLine('retry', account);
  await expired.spent;
  expired.release();
  await dumpWhen(({ retrying }) => retrying.length > 0);
  await commandLine('status', account);
  const wrong = endToEnd.proxies.aws.arm(refusalWithToken('SignatureDoesNotMatch'));
  const untilNoted = holdShards();
  untilShown.release();
  await wrong.spent;
  wrong.release();
  await noteHeartbeats();

  worker.kill('SIGKILL');
  await worker.exited;
  await startWorker();
  await noteHeartbeats();
  const receiptBreaks = endToEnd.proxies.aws.arm({
    matches: ({ method, path }) => method === 'PUT' && path.includes('receipt.json'),
    effect: { kind: 'reset', side: 'answer' },
  });
  endToEnd.proxies.aws.latencyMs = () => 0;
  untilNoted.release();
  expect(await endToEnd.ended(account, 'run-1')).toMatchObject({ outcome: 'delivered' });
  expect(receiptBreaks.hits).toHaveLength(1);
  await commandLine('status', account, '--json');
  await noteWhatTemporalShows();

  await noteDocuments();

  const secrets = [...secretsOfAws(), noticeSecret, noticeQuery].flatMap(waysToWrite);
  expect(new Set(secrets).size).toBeGreaterThan(40);
  expect(leaksIn(seen, secrets)).toEqual([]);
  // The search finds them where they are: on their way.
  const { recorded, exchanges } = endToEnd.proxies.aws;
  expect(leaksIn([{ where: 'answer', shown: plainText(recorded) }], secrets)).not.toEqual([]);
  expect(leaksIn([{ where: 'request', shown: plainText(exchanges) }], secrets)).not.toEqual([]);
  // Each place was looked at, and held what it is there for.
  const shownAt = (where: string): string =>
    seen.flatMap((place) => (place.where.startsWith(where) ? [place.shown] : [])).join('\n');
  const withoutKeyId = 'It was refused to [access key id]';
  expect(shownAt('history dump/')).toContain('RoleNotAssumable');
  expect(shownAt('history destination/')).toContain(bucket);
  expect(shownAt('history dump/').includes(withoutKeyId)).toBe(true);
  expect(shownAt('history notice/')).toContain('dump.needs-attention');
  expect(shownAt('description dump/').includes(withoutKeyId)).toBe(true);
  expect(shownAt('details dump/')).toContain('currentDetails');
  expect(shownAt('heartbeat')).toContain('doneShards');
  expect(shownAt('last failure').includes(withoutKeyId)).toBe(true);
  expect(shownAt('list destination/')).toContain(account);
  expect(shownAt('schedule s3-destination-access-round')).toContain('ACCESS_CHECK_AT');
  expect(shownAt('log').includes(withoutKeyId)).toBe(true);
  expect(shownAt('command status')).toContain('RoleNotAssumable');
  expect(shownAt('notice')).toContain('dump.needs-attention');
  expect(shownAt('object receipt.json')).toContain('total_file_count');
  expect(shownAt('object connection-check.json')).toContain(account);
}, 240_000);

test.each([
  ['without Temporal', {}, 'Connection refused'],
  ['with a secret that is none', { NOTICE_SECRET: 'whsec_Zm9v' }, 'The setting NOTICE_SECRET cannot be used'],
])('a worker that cannot start, %s, prints no setting that is secret', async (_why, wrong, why) => {
  const settings = {
    ...{ TEMPORAL_ADDRESS: '127.0.0.1:1', TEMPORAL_API_KEY: 'k3y-of-temporal-cloud', TEMPORAL_TLS: 'false' },
    ...{ NOTICE_URL: noticeUrl, NOTICE_SECRET: `whsec_${noticeSecret}`, ...wrong },
  };
  const worker = start('The worker', process.execPath, [compiled('src', 'worker.js')], {
    ...endToEnd.sandbox.environment,
    ...settings,
  });
  expect(await worker.exited).toBe(1);
  expect(worker.output()).toContain(why);
  const { AWS_SECRET_ACCESS_KEY = '' } = endToEnd.sandbox.environment;
  const secrets = [settings.TEMPORAL_API_KEY, settings.NOTICE_SECRET, noticeQuery, AWS_SECRET_ACCESS_KEY];
  expect(leaksIn([{ where: 'log', shown: worker.output() }], secrets.flatMap(waysToWrite))).toEqual([]);
});

/** They are not repeated: what a test says is kept, too. */
function leaksIn(places: readonly Place[], secrets: readonly string[]): string[] {
  const leaks = places.flatMap(({ where, shown }) =>
    secrets.flatMap((secret) =>
      shown.includes(secret) ? [`${where} holds a secret that begins ${secret.slice(0, 4)}`] : [],
    ),
  );
  return [...new Set(leaks)];
}

/** What STS gave out, what the worker began with, and what requests were signed with. */
function secretsOfAws(): string[] {
  const { recorded, exchanges } = endToEnd.proxies.aws;
  const given = recorded.flatMap(({ answer }) =>
    ['AccessKeyId', 'SecretAccessKey', 'SessionToken'].flatMap((name) =>
      [...answer.matchAll(new RegExp(`<${name}>([^<]+)</${name}>`, 'g'))].map(([, value]) => value ?? ''),
    ),
  );
  const signatures = exchanges.flatMap(({ asked: { path, headers } }) => [
    ...(/X-Amz-Signature=(\w+)/.exec(path)?.slice(1) ?? []),
    ...(/Signature=(\w+)/.exec(headers.authorization ?? '')?.slice(1) ?? []),
  ]);
  expect(signatures.length).toBeGreaterThan(20);
  const { AWS_ACCESS_KEY_ID = '', AWS_SECRET_ACCESS_KEY = '' } = endToEnd.sandbox.environment;
  return [...given, ...signatures, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY];
}

const waysToWrite = (secret: string): string[] => [
  secret,
  encodeURIComponent(secret),
  Buffer.from(secret).toString('base64').replace(/=+$/, ''),
  JSON.stringify(secret).slice(1, -1),
];
