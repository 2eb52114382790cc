import { overviewOf, type FoundWorkflow, type Listing } from '../../src/client/overview';
import { overviewLines } from '../../src/client/overview-view';
import type { AccessCheck, DumpStatus, Fault } from '../../src/contract';

const startedAt = new Date('2023-01-02T15:04:05Z');

/** Workflows by state, as the visibility store would find them. */
class FakeListing implements Listing {
  asked = 0;
  private atOnce = 0;
  mostAtOnce = 0;

  constructor(
    private readonly idsByState: Readonly<Record<string, readonly string[]>>,
    private readonly statusOf: (workflowId: string) => Pick<DumpStatus, 'stepFault' | 'tables'> = () => ({
      tables: {},
    }),
  ) {}

  async count(query: string): Promise<number> {
    return this.matching(query).length;
  }

  async *list(query: string): AsyncIterable<FoundWorkflow> {
    for (const workflowId of this.matching(query)) yield { workflowId, startedAt };
  }

  async dumpStatus(workflowId: string): Promise<Pick<DumpStatus, 'stepFault' | 'tables'>> {
    this.asked += 1;
    this.mostAtOnce = Math.max(this.mostAtOnce, (this.atOnce += 1));
    await new Promise((resolve) => setImmediate(resolve));
    this.atOnce -= 1;
    return this.statusOf(workflowId);
  }

  /** What the last check of a destination said. */
  accessOf: (workflowId: string) => AccessCheck | undefined = () => undefined;

  async access(workflowId: string): Promise<AccessCheck | undefined> {
    return this.accessOf(workflowId);
  }

  private matching(query: string): readonly string[] {
    const [, type, state] =
      /^WorkflowType = "(\w+)" AND ExecutionStatus = "Running" AND S3DestinationState = "(\w+)"$/.exec(query) ?? [];
    const ids = this.idsByState[state ?? ''] ?? [];
    return ids.filter((id) => id.startsWith(`${type}/`));
  }
}

const destinations = (...accounts: string[]): string[] => accounts.map((account) => `destination/${account}`);
const dumps = (...accounts: string[]): string[] => accounts.map((account) => `dump/${account}/2023-01-02T15:04`);

const fault: Fault = {
  type: 'BucketMissing',
  problem: 'S3 refused a put.',
  mender: 'customer',
  remedy: 'create the bucket.',
  retriesHourly: true,
};
const waiting = { state: 'needs attention', fault, copied: { shards: 0, bytes: 0 } } as const;

test('customers are listed once each, those that need attention first, then those whose access is refused, then those whose last dump failed', async () => {
  const listing = new FakeListing({
    NotConnected: destinations('acc_new'),
    Delivered: destinations('acc_fine'),
    Waiting: destinations('acc_soon'),
    Paused: destinations('acc_paused'),
    Delivering: destinations('acc_busy', 'acc_stuck'),
    Superseded: destinations('acc_superseded'),
    Cancelled: destinations('acc_cancelled'),
    Abandoned: destinations('acc_abandoned'),
    Failed: destinations('acc_failed'),
    AccessRefused: destinations('acc_refused'),
    NeedsAttention: dumps('acc_stuck'),
  });
  const { customers, more } = await overviewOf(listing, { limit: 50 });
  expect(customers.map(({ accountId, state }) => `${accountId} ${state}`)).toEqual([
    'acc_stuck NeedsAttention',
    'acc_refused AccessRefused',
    'acc_failed Failed',
    'acc_abandoned Abandoned',
    'acc_cancelled Cancelled',
    'acc_superseded Superseded',
    'acc_busy Delivering',
    'acc_paused Paused',
    'acc_fine Delivered',
    'acc_soon Waiting',
    'acc_new NotConnected',
  ]);
  expect(more).toBe(0);
});

test('no more customers than the limit are shown, only their dumps are asked, and the last line counts the rest', async () => {
  const listing = new FakeListing({
    NeedsAttention: dumps('acc_1', 'acc_2', 'acc_3'),
    Delivering: destinations('acc_1', 'acc_2', 'acc_3'),
    Delivered: destinations('acc_4'),
  });
  const overview = await overviewOf(listing, { limit: 2 });
  expect(overview.customers.map(({ accountId }) => accountId)).toEqual(['acc_1', 'acc_2']);
  expect(listing.asked).toBe(2);
  expect(overviewLines(overview).at(-1)).toBe(
    '2 more: show more with --limit <number>, or only those of one state with --state <state>',
  );
});

test('with a state, all customers in it are listed, also those whose dump needs attention', async () => {
  const listing = new FakeListing({
    NeedsAttention: dumps('acc_1'),
    Delivering: destinations('acc_1', 'acc_2'),
    Delivered: destinations('acc_3'),
  });
  const { customers, more } = await overviewOf(listing, { limit: 1, state: 'Delivering' });
  expect(customers).toEqual([{ accountId: 'acc_1', state: 'Delivering' }]);
  expect(more).toBe(1);
});

test('a line says what waits, for whom and since when; what troubles several tables is said once', async () => {
  const listing = new FakeListing({ NeedsAttention: dumps('acc_1'), Delivering: destinations('acc_1') }, () => ({
    stepFault: { ...fault, type: 'VendorRoleNotAssumable', mender: 'vendor' },
    tables: { companies: waiting, contacts: { state: 'waiting' }, events: waiting },
  }));
  expect(overviewLines(await overviewOf(listing, { limit: 50 }))).toEqual([
    '1 customer: 1 Delivering; a dump of 1 NeedsAttention',
    'acc_1                    NeedsAttention dump since 2023-01-02T15:04: VendorRoleNotAssumable, to be mended by the vendor; BucketMissing, to be mended by the customer [companies, events]',
  ]);
});

test('a dump that does not answer is shown with why, and the others as ever', async () => {
  const listing = new FakeListing({ NeedsAttention: dumps('acc_1', 'acc_2') }, (workflowId) => {
    if (workflowId.startsWith('dump/acc_1/')) throw new Error('no poller seen');
    return { tables: { events: waiting } };
  });
  const { customers } = await overviewOf(listing, { limit: 50 });
  expect(customers).toMatchObject([
    { accountId: 'acc_1', dump: { faults: [], unanswered: 'no poller seen' } },
    { accountId: 'acc_2', dump: { faults: [{ type: 'BucketMissing', table: 'events' }] } },
  ]);
  expect(overviewLines(await overviewOf(listing, { limit: 1 }))[1]).toContain('no worker says why: no poller seen');
});

test('where access is refused, a line says why, for whom and since when, also where no worker says it', async () => {
  const listing = new FakeListing({ AccessRefused: destinations('acc_1', 'acc_2', 'acc_3', 'acc_4') });
  const at = '2023-01-02T04:00:05.678Z';
  const checks: Readonly<Record<string, AccessCheck>> = {
    'destination/acc_1': { state: 'failed', at, problem: 'S3 refused a put.', fault },
    'destination/acc_2': { state: 'checking', attempt: 1, fault },
    // Proven since the list was made.
    'destination/acc_3': { state: 'passed', at },
  };
  listing.accessOf = (workflowId) => {
    if (workflowId in checks) return checks[workflowId];
    throw new Error('no poller seen');
  };
  expect(overviewLines(await overviewOf(listing, { limit: 50 }))).toEqual([
    '4 customers: 4 AccessRefused',
    'acc_1                    AccessRefused  found 2023-01-02T04:00: BucketMissing, to be mended by the customer',
    'acc_2                    AccessRefused  BucketMissing, to be mended by the customer',
    'acc_3                    AccessRefused',
    'acc_4                    AccessRefused  no worker says why: no poller seen',
  ]);
});

test('at most eight dumps are asked side by side', async () => {
  const accounts = Array.from({ length: 30 }, (_, index) => `acc_${index}`);
  const listing = new FakeListing({ NeedsAttention: dumps(...accounts) });
  await overviewOf(listing, { limit: 50 });
  expect(listing.asked).toBe(30);
  expect(listing.mostAtOnce).toBe(8);
});

test('without customers a sentence says so', async () => {
  expect(overviewLines(await overviewOf(new FakeListing({}), { limit: 50 }))).toEqual([
    'There is no customer yet: the command connect makes one.',
  ]);
});
