/** What docs/operating.md tells an operator to do, done in the real UI. Its screenshots are taken here too. */
import type { CustomerAccount } from '../../sandbox/aws';
import { parseAccountId, parseBucketName } from '../../src/dump/inputs';
import { trustPolicy } from '../../src/dump/policies';
import { eventually } from '../eventually';
import { dataset, EndToEnd } from './environment';
import { outOfSight, TemporalUi } from './temporal-ui';

const account = parseAccountId('acc_7Hq2');
const bucket = parseBucketName('acme-data-platform');
const otherAccount = parseAccountId('acc_9Kd4');
const otherBucket = parseBucketName('globex-data-platform');

let endToEnd: EndToEnd;
let ui: TemporalUi;
let customer: CustomerAccount;
let dumpId: string;
let otherDumpId: string;

beforeAll(async () => {
  endToEnd = await EndToEnd.start({ scale: 0.02, shardRows: 500 });
  const { sandbox } = endToEnd;
  const [distrustful, other] = await Promise.all([
    sandbox.addCustomer(account, bucket),
    sandbox.addCustomer(otherAccount, otherBucket, { roleName: 'globex-data-platform' }),
    endToEnd.startWorker(),
  ]);
  customer = distrustful;
  ui = await TemporalUi.open(sandbox.temporal.uiUrl, 'operator');
  const { destinations } = endToEnd;
  await destinations.connect(account, { roleArn: customer.roleArn, bucket });
  await destinations.connect(otherAccount, { roleArn: other.roleArn, bucket: otherBucket, tables: ['deals'] });
  await customer.setTrust(trustPolicy(parseAccountId('somebody-else')));
  await Promise.all([announce('run-42', account), announce('run-41', otherAccount)]);
  dumpId = await waitingDump(account);
  otherDumpId = await waitingDump(otherAccount);
});
afterAll(async () => {
  await ui?.close();
  await endToEnd?.stop();
});

const announce = (runId: string, accountId: typeof account): Promise<void> =>
  endToEnd.destinations.modellingRunSucceeded(accountId, { runId, finishedAt: new Date(), dataset });

async function waitingDump(accountId: typeof account): Promise<string> {
  const { destination } = await eventually(
    () => endToEnd.destinations.status(accountId),
    ({ dump }) => dump?.state === 'NeedsAttention',
  );
  return destination.currentDump?.workflowId ?? '';
}

test('an operator finds the dump that waits, reads what to mend, retries it from the UI and sees it complete', async () => {
  const waiting = 'S3DestinationState = "NeedsAttention" AND ExecutionStatus = "Running"';
  // The UI searches once.
  await endToEnd.listed(waiting, 2);
  await ui.listWorkflows(waiting);
  await ui.chooseColumns({
    remove: ['Run ID', 'Type', 'Start', 'End'],
    add: ['S3DestinationState', 'S3DestinationRun'],
  });
  const rows = await ui.rows(2);
  expect(rows.map((cells) => cells.slice(-3).join(' ')).toSorted()).toEqual([
    `${dumpId} NeedsAttention run-42`,
    `${otherDumpId} NeedsAttention run-41`,
  ]);
  await ui.screenshot('1-list');
  await ui.screenshotList('docs/list-of-waiting-dumps');

  await ui.openWorkflow(dumpId);
  await ui.untilStatus('Running');
  await ui.openTab('User Metadata');
  const details = await ui.details('RoleNotAssumable');
  const shown = await details.innerText();
  expect(shown).toContain('NeedsAttention: assume role');
  expect(shown).toContain('The customer must mend this; then send the signal retry.');
  expect(shown).toContain(`[role=${customer.roleArn} externalId=${account}]`);
  const [, policy] = /trust policy must be (\{.*\})/.exec(shown) ?? [];
  expect(JSON.parse(policy ?? '')).toEqual(trustPolicy(account));
  expect(await outOfSight(details)).toEqual([]);
  await ui.screenshot('2-details');
  await ui.screenshotDetails('docs/details-of-a-waiting-dump');

  // The tab of the details swallows every r that is typed: it takes it for "refresh".
  await ui.openTab('History');
  await ui.sendSignal('retry', '"no-such-table"', '3-wrong-signal');
  await ui.openTab('User Metadata');
  const answered = await ui.details("retry: table 'no-such-table' does not wait for a retry");
  expect(await outOfSight(answered)).toEqual([]);
  await ui.screenshot('4-answer');

  await customer.setTrust(trustPolicy(account));
  await ui.openTab('History');
  await ui.sendSignal('retry', undefined, '5-retry');
  await ui.untilStatus('Completed');
  await ui.screenshot('6-completed');
  await ui.openTab('User Metadata');
  expect(await (await ui.details('Delivered: complete')).innerText()).toContain('events\tdelivered');

  const ofAccount = `S3DestinationAccount = "${account}" AND WorkflowType = "dump"`;
  await endToEnd.listed(`${ofAccount} AND ExecutionStatus = "Completed" AND S3DestinationState = "Delivered"`, 1);
  await ui.listWorkflows(ofAccount);
  const [delivered] = await ui.rows(1);
  expect(delivered).toEqual(expect.arrayContaining(['Completed', dumpId, 'Delivered', 'run-42']));
  await ui.screenshot('7-delivered');
  expect((await customer.objects()).map(({ Key }) => Key)).toContain('receipt.json');
});
