/** Notices to a real receiver: a worker process tells of what it delivers, and waits for nobody. */
import { createHmac, randomBytes } from 'node:crypto';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { BucketName } from '../../src/contract';
import { parseAccountId, parseBucketName } from '../../src/dump/inputs';
import { trustPolicy } from '../../src/dump/policies';
import { noticeRequestTimeoutMs } from '../../src/timing';
import type { SentNotice } from '../../src/stores/webhook';
import { eventually } from '../eventually';
import { dataset, EndToEnd } from './environment';
import { plainText } from './plain-text';

const secret = randomBytes(32);
const queryKey = 'k3y-in-the-query';
const slowMs = 300;

/** Refuses the first requests, then takes every notice, slowly. Notices of the accounts in `ignored` are never answered. */
class Receiver {
  readonly taken: SentNotice[] = [];
  readonly refused: SentNotice[] = [];
  readonly ignored = new Set<string>();
  readonly unanswered: SentNotice[] = [];
  refusals = 2;

  private readonly server = http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (data: Buffer) => chunks.push(data));
    request.on('end', () => {
      const notice = this.verified(request.headers, Buffer.concat(chunks).toString());
      if (this.ignored.has(notice.data.account)) {
        this.unanswered.push(notice);
        return;
      }
      setTimeout(() => {
        const isRefused = this.refused.length < this.refusals;
        (isRefused ? this.refused : this.taken).push(notice);
        response.writeHead(isRefused ? 503 : 204).end();
      }, slowMs);
    });
  });

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/hook?key=${queryKey}`;
  }

  /** As a receiver is told to: by the id, the time and the body as it came. */
  private verified(headers: http.IncomingHttpHeaders, body: string): SentNotice {
    const [id, timestamp] = [String(headers['webhook-id']), String(headers['webhook-timestamp'])];
    const expected = createHmac('sha256', secret).update(`${id}.${timestamp}.${body}`).digest('base64');
    const notice = JSON.parse(body) as SentNotice;
    if (headers['webhook-signature'] !== `v1,${expected}` || notice.id !== id) throw new Error(`Forged: ${body}`);
    if (Math.abs(Date.now() / 1000 - Number(timestamp)) > 60) throw new Error(`Played back: ${body}`);
    return notice;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

const receiver = new Receiver();
let endToEnd: EndToEnd;
beforeAll(async () => {
  const [url, started] = await Promise.all([receiver.start(), EndToEnd.start({ scale: 0.01, shardRows: 500 })]);
  endToEnd = started;
  await endToEnd.startWorker({ NOTICE_URL: url, NOTICE_SECRET: `whsec_${secret.toString('base64')}` });
});
afterAll(async () => {
  await endToEnd?.stop();
  await receiver.stop();
});

async function connected(name: string) {
  const account = parseAccountId(name);
  const bucket: BucketName = parseBucketName(`${name}-data`);
  const customer = await endToEnd.sandbox.addCustomer(account, bucket, { roleName: name, region: 'us-east-1' });
  await endToEnd.destinations.connect(account, { roleArn: customer.roleArn, bucket, tables: ['contacts', 'revenue'] });
  const announce = (runId: string) =>
    endToEnd.destinations.modellingRunSucceeded(account, { runId, finishedAt: new Date(), dataset });
  return { account, customer, announce };
}

const takenOf = (account: string): SentNotice[] => receiver.taken.filter(({ data }) => data.account === account);

const isTaken = (account: string, count: number) =>
  eventually(
    async () => takenOf(account).length,
    (length) => length >= count,
    30_000,
  );

test('a receiver that is slow and fails at first is told of what waits, is mended and is delivered', async () => {
  const { account, customer, announce } = await connected('told');
  await customer.setTrust(trustPolicy(parseAccountId('somebody-else')));
  await announce('run-1');
  await isTaken(account, 1);
  await customer.setTrust(trustPolicy(account));
  await endToEnd.destinations.retry(account);
  expect(await endToEnd.ended(account, 'run-1')).toMatchObject({ outcome: 'delivered' });
  await isTaken(account, 3);

  const [{ folder } = { folder: '' }] = (await endToEnd.destinations.status(account)).destination.recentDumps;
  const byId = takenOf(account).toSorted((one, other) => one.id.localeCompare(other.id));
  expect(byId).toMatchObject([
    {
      id: `notice/${account}/${folder}/1`,
      type: 'dump.needs-attention',
      data: { account, folder, run: { runId: 'run-1', dataset }, faults: [{ type: 'RoleNotAssumable' }] },
    },
    { id: `notice/${account}/${folder}/2`, type: 'dump.recovered' },
    { id: `notice/${account}/${folder}/3`, type: 'dump.delivered', data: { receiptKey: 'receipt.json' } },
  ]);
  // What was refused came again by the same id.
  expect(receiver.refused.map(({ id }) => id)).toEqual([byId[0]?.id, byId[0]?.id]);
  const times = byId.map(({ timestamp }) => timestamp);
  expect(times).toEqual(times.toSorted());
});

test('a receiver that never answers delays neither the dump nor what others are told', async () => {
  const ignored = await connected('ignored');
  receiver.ignored.add(ignored.account);
  const beganAtMs = Date.now();
  await ignored.announce('run-1');
  expect(await endToEnd.ended(ignored.account, 'run-1')).toMatchObject({ outcome: 'delivered' });
  expect(Date.now() - beganAtMs).toBeLessThan(noticeRequestTimeoutMs);

  const other = await connected('other');
  await other.announce('run-1');
  await isTaken(other.account, 1);
  expect(takenOf(other.account)).toMatchObject([{ type: 'dump.delivered' }]);
  expect(receiver.unanswered.length).toBeGreaterThan(0);
  expect(takenOf(ignored.account)).toEqual([]);
});

test('neither the secret nor the query of the URL is in any history', async () => {
  let notices = 0;
  for await (const { workflowId, runId, type } of endToEnd.client.workflow.list()) {
    if (type === 'notice') notices += 1;
    const text = plainText(await endToEnd.client.workflow.getHandle(workflowId, runId).fetchHistory());
    expect(text).not.toContain(queryKey);
    expect(text).not.toContain(secret.toString('base64'));
  }
  expect(notices).toBeGreaterThanOrEqual(3);
});
