/** Notices to a real receiver: a worker process tells of what it delivers, and waits for nobody. */
import type { BucketName } from '../../src/contract';
import { parseAccountId, parseBucketName } from '../../src/dump/inputs';
import { trustPolicy } from '../../src/dump/policies';
import { dataset, EndToEnd } from './environment';
import { plainText } from './plain-text';
import { Receiver } from './receiver';

const receiver = new Receiver();
receiver.refusals = 2;
let endToEnd: EndToEnd;
beforeAll(async () => {
  const [settings, started] = await Promise.all([receiver.start(), EndToEnd.start({ scale: 0.01, shardRows: 500 })]);
  endToEnd = started;
  await endToEnd.startWorker(settings);
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

test('a receiver that is slow and fails at first is told of what waits, is mended and is delivered', async () => {
  const { account, customer, announce } = await connected('told');
  await customer.setTrust(trustPolicy(parseAccountId('somebody-else')));
  await announce('run-1');
  await receiver.hasTaken(account, 1);
  await customer.setTrust(trustPolicy(account));
  await endToEnd.destinations.retry(account);
  expect(await endToEnd.ended(account, 'run-1')).toMatchObject({ outcome: 'delivered' });
  await receiver.hasTaken(account, 3);

  const [{ folder } = { folder: '' }] = (await endToEnd.destinations.status(account)).destination.recentDumps;
  const byId = receiver.takenOf(account).toSorted((one, other) => one.id.localeCompare(other.id));
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
  await ignored.announce('run-1');
  expect(await endToEnd.ended(ignored.account, 'run-1')).toMatchObject({ outcome: 'delivered' });
  // Had the dump waited for its notice, this request would be over.
  expect(receiver.givenUp).toEqual([]);

  const other = await connected('other');
  await other.announce('run-1');
  await receiver.hasTaken(other.account, 1);
  expect(receiver.takenOf(other.account)).toMatchObject([{ type: 'dump.delivered' }]);
  expect(receiver.unanswered.length).toBeGreaterThan(0);
  expect(receiver.takenOf(ignored.account)).toEqual([]);
});

test('neither the secret nor the query of the URL is in any history', async () => {
  let notices = 0;
  for await (const { workflowId, runId, type } of endToEnd.client.workflow.list()) {
    if (type === 'notice') notices += 1;
    const text = plainText(await endToEnd.client.workflow.getHandle(workflowId, runId).fetchHistory());
    for (const secret of receiver.secrets) expect(text).not.toContain(secret);
  }
  expect(notices).toBeGreaterThanOrEqual(3);
});
