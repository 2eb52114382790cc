/** The command `status` of all customers, on a real Temporal server: only that has a visibility store to ask. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { compiled, type Running } from '../../sandbox/processes';
import type { CustomerLine, CustomerState } from '../../src/client/overview';
import { parseAccountId, parseBucketName } from '../../src/dump/inputs';
import { trustPolicy } from '../../src/dump/policies';
import { eventually } from '../eventually';
import { dataset, EndToEnd } from './environment';

let endToEnd: EndToEnd;
let worker: Running;

const execute = promisify(execFile);
const status = async (...args: string[]): Promise<{ stdout: string; stderr: string }> =>
  execute(process.execPath, [compiled('src', 'client.js'), 'status', ...args], {
    env: { PATH: process.env['PATH'], ...endToEnd.sandbox.environment },
  });

/** The visibility store is a moment behind. */
const shown = (states: readonly CustomerState[]): Promise<readonly CustomerLine[]> =>
  eventually(
    async () => (await endToEnd.destinations.overview({ limit: 50 })).customers,
    (customers) => customers.map(({ state }) => state).join() === states.join(),
    30_000,
  );

beforeAll(async () => {
  endToEnd = await EndToEnd.start({ scale: 0.01, shardRows: 500 });
});
afterAll(() => endToEnd?.stop());

async function connected(account: string, tables: readonly string[] = ['contacts']) {
  const accountId = parseAccountId(account);
  const bucket = parseBucketName(`${account.replace('_', '-')}-bucket`);
  const customer = await endToEnd.sandbox.addCustomer(accountId, bucket, { roleName: account });
  await endToEnd.destinations.connect(accountId, { roleArn: customer.roleArn, bucket, tables });
  return customer;
}

const announce = (account: string): Promise<void> =>
  endToEnd.destinations.modellingRunSucceeded(account, { runId: 'run-1', finishedAt: new Date(), dataset });

test('a namespace without the search attributes, and one without a customer, are told apart', async () => {
  await expect(status()).rejects.toMatchObject({
    code: 1,
    stderr: expect.stringContaining('start a worker') as string,
  });
  worker = await endToEnd.startWorker();
  expect((await status()).stdout).toBe('There is no customer yet: the command connect makes one.\n');
});

describe('of five customers', () => {
  beforeAll(async () => {
    const [, distrustful] = await Promise.all([
      connected('acc_delivered'),
      connected('acc_trust'),
      connected('acc_table', ['contacts', 'nowhere']),
      connected('acc_paused'),
    ]);
    await distrustful.setTrust(trustPolicy(parseAccountId('somebody-else')));
    await endToEnd.destinations.pause('acc_paused');
    await Promise.all(['acc_delivered', 'acc_trust', 'acc_table', 'acc_new'].map(announce));
    await endToEnd.ended('acc_delivered', 'run-1');
    await shown(['NeedsAttention', 'NeedsAttention', 'Paused', 'Delivered', 'NotConnected']);
  });

  test('each is shown once, failures first, with what waits and for whom', async () => {
    const { stdout, stderr } = await status();
    const [summary, ...lines] = stdout.trimEnd().split('\n');
    expect(summary).toBe(
      '5 customers: 2 Delivering, 1 Paused, 1 Delivered, 1 NotConnected; a dump of 2 NeedsAttention',
    );
    expect(lines.slice(0, 2).toSorted()).toEqual([
      expect.stringMatching(
        /^acc_table +NeedsAttention dump since \d{4}-\d\d-\d\dT\d\d:\d\d: TableMissing, to be mended by the vendor \[nowhere\]$/,
      ),
      expect.stringMatching(
        /^acc_trust +NeedsAttention dump since .*: RoleNotAssumable, to be mended by the customer$/,
      ),
    ]);
    expect(lines.slice(2).map((line) => line.split(/ +/))).toEqual([
      ['acc_paused', 'Paused'],
      ['acc_delivered', 'Delivered'],
      ['acc_new', 'NotConnected'],
    ]);
    expect(stderr).toBe('');
  });

  test('--limit shows the first ones and says how many more there are, --state only those in a state', async () => {
    const lines = (await status('--limit', '2')).stdout.trimEnd().split('\n');
    expect(lines).toHaveLength(4);
    expect(lines.at(-1)).toMatch(/^3 more: show more with --limit/);
    expect((await status('--state', 'Paused')).stdout.trimEnd().split('\n').slice(1)).toEqual([
      expect.stringMatching(/^acc_paused +Paused$/),
    ]);
  });

  test('--json prints one object a line in the same order, and says on stderr how many more there are', async () => {
    const { stdout, stderr } = await status('--json', '--limit', '3');
    const customers = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as CustomerLine);
    expect(customers.map(({ state }) => state)).toEqual(['NeedsAttention', 'NeedsAttention', 'Paused']);
    expect(customers.find(({ accountId }) => accountId === 'acc_table')?.dump?.faults).toMatchObject([
      { table: 'nowhere', type: 'TableMissing', mender: 'vendor' },
    ]);
    expect(stderr).toMatch(/^2 more:/);
  });

  test('one customer is shown with the same word', async () => {
    expect((await status('acc_trust')).stdout).toContain('\nstate: NeedsAttention\n');
    expect((await status('acc_delivered')).stdout).toContain('\nstate: Delivered\n');
  });

  test('with no worker up the customers are shown all the same', async () => {
    await worker.stop();
    const { stdout } = await status();
    expect(stdout.match(/NeedsAttention dump since .*: no worker says why: /g)).toHaveLength(2);
    expect(stdout).toMatch(/^acc_delivered +Delivered$/m);
    await expect(status('acc_delivered')).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^No worker answers: start one/) as string,
    });
  });
});
