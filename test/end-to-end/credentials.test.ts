/** Sessions end while shards are copied: those that expire are renewed, those that are revoked wait for a person. */
import { permissionPolicy, trustPolicy } from '../../src/dump/policies';
import { parseAccountId, parseBucketName } from '../../src/dump/inputs';
import type { DestinationReport } from '../../src/client/destinations';
import { eventually } from '../eventually';
import { compareRows, readJson, type GuideReceipt } from './delivered';
import { dataset, EndToEnd } from './environment';
import type { Armed, Asked, Recorded } from './fault-proxy';

const table = 'companies';
/** How old a session is when the AWS SDK renews it in these tests. */
const renewedAtMs = 3_000;
/** The AWS SDK renews a session so long before it expires. */
const sdkRenewsBeforeMs = 300_000;

let endToEnd: EndToEnd;
let armed: Armed[] = [];
const arm = (arming: Parameters<typeof endToEnd.proxies.aws.arm>[0]): void =>
  void armed.push(endToEnd.proxies.aws.arm({ times: Infinity, ...arming }));

beforeAll(async () => {
  endToEnd = await EndToEnd.start({ scale: 0.05, shardRows: 10 });
  endToEnd.proxies.aws.latencyMs = (asked) => (isShard(asked) ? 250 : 0);
  await endToEnd.startWorker({ COPY_ACTIVITIES: '1', COPY_SHARDS_IN_FLIGHT: '1' });
});
afterEach(() => {
  for (const fault of armed) fault.release();
  armed = [];
});
afterAll(() => endToEnd?.stop());

const isShard = ({ method, path }: Asked): boolean => method === 'PUT' && path.includes('.ndjson.gz');

const shards = (bucket: string): Recorded[] =>
  endToEnd.proxies.aws.recorded.filter((asked) => isShard(asked) && asked.path.startsWith(`/${bucket}/`));

const stored = (bucket: string): string[] =>
  shards(bucket).flatMap(({ status, path }) => (status === 200 ? [path.replace(/\?.*/, '')] : []));

const keyOf = ({ headers }: Asked): string | undefined => /Credential=([^/]+)/.exec(headers.authorization ?? '')?.[1];

/** When STS gave out the key that a request is signed with. */
function issuedAtMs(asked: Asked): number {
  const key = keyOf(asked);
  const issued = endToEnd.proxies.aws.recorded.find(
    ({ action, answer }) => action === 'AssumeRole' && answer.includes(`>${key}<`),
  );
  return issued?.endedAtMs ?? Infinity;
}

/** As S3 does: the stand-in's own sessions last a quarter of an hour at the least. */
const refuseSessionsAt = (ageMs: number): void =>
  arm({
    matches: (asked) => asked.method === 'PUT' && asked.beganAtMs > issuedAtMs(asked) + ageMs,
    effect: {
      kind: 'answer',
      after: 'nothing',
      answer: {
        status: 400,
        contentType: 'application/xml',
        body: '<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>',
      },
    },
  });

/** STS says that its sessions last this long. */
const sessionsLast = (lifeMs: number): void =>
  arm({
    matches: ({ action }) => action === 'AssumeRole',
    effect: {
      kind: 'rewrite',
      change: (answer) =>
        answer.replace(/<Expiration>[^<]*/g, `<Expiration>${new Date(Date.now() + lifeMs).toISOString()}`),
    },
  });

async function connected(name: string) {
  const accountId = parseAccountId(name);
  const bucket = parseBucketName(`${name}-data`);
  const customer = await endToEnd.sandbox.addCustomer(accountId, bucket, { roleName: name, region: 'us-east-1' });
  await endToEnd.destinations.connect(accountId, { roleArn: customer.roleArn, bucket, tables: [table] });
  return { accountId, bucket, customer };
}

type Connected = Awaited<ReturnType<typeof connected>>;

const announce = ({ accountId }: Connected): Promise<void> =>
  endToEnd.destinations.modellingRunSucceeded(accountId, { runId: 'run-1', finishedAt: new Date(), dataset });

const waits = ({ accountId }: Connected): Promise<DestinationReport> =>
  eventually(
    () => endToEnd.destinations.status(accountId),
    ({ dump }) => dump?.state === 'NeedsAttention',
  );

const copying = ({ bucket }: Connected): Promise<unknown> =>
  eventually(
    async () => stored(bucket).length,
    (count) => count >= 5,
  );

async function expectDelivered({ accountId, customer }: Connected): Promise<void> {
  expect(await endToEnd.ended(accountId, 'run-1')).toMatchObject({ outcome: 'delivered' });
  const { tables } = await readJson<GuideReceipt>(customer, 'receipt.json');
  const promised = tables[table];
  if (promised === undefined) throw new Error(`The receipt does not name ${table}`);
  expect(await compareRows(customer, promised, endToEnd.parquetFile(table))).toMatchObject({
    missing: 0,
    unexpected: 0,
  });
}

test('sessions that expire amid the shards are renewed in time: no shard is refused or put twice', async () => {
  const customer = await connected('expires');
  sessionsLast(sdkRenewsBeforeMs + renewedAtMs);
  refuseSessionsAt(renewedAtMs + 5_000);
  await announce(customer);
  await expectDelivered(customer);
  const puts = shards(customer.bucket);
  expect(new Set(puts.map(keyOf)).size).toBeGreaterThanOrEqual(3);
  expect(puts.filter(({ status }) => status !== 200)).toEqual([]);
  expect(new Set(stored(customer.bucket)).size).toBe(puts.length);
});

test('sessions that S3 calls expired before their time are left for new ones: no shard is put twice', async () => {
  const customer = await connected('expires-early');
  refuseSessionsAt(4_000);
  await announce(customer);
  await expectDelivered(customer);
  const sessions = new Set(shards(customer.bucket).map(keyOf));
  expect(sessions.size).toBeGreaterThanOrEqual(3);
  const put = stored(customer.bucket);
  expect(new Set(put).size).toBe(put.length);
});

test('permissions that are revoked amid the shards make the dump wait; mended, it goes on where it was', async () => {
  const customer = await connected('denied');
  await announce(customer);
  await copying(customer);
  await customer.customer.setPermissions(permissionPolicy(parseBucketName('another-bucket')));
  const { dump } = await waits(customer);
  expect(dump?.tables[table]).toMatchObject({ fault: { type: 'BucketAccessDenied', mender: 'customer' } });
  // It waits: nothing is tried again by Temporal.
  expect(dump?.retrying).toEqual([]);
  const asked = shards(customer.bucket).length;

  await customer.customer.setPermissions(permissionPolicy(customer.bucket));
  expect(shards(customer.bucket)).toHaveLength(asked);
  await endToEnd.destinations.retry(customer.accountId, table);
  await expectDelivered(customer);
  const put = stored(customer.bucket);
  expect(new Set(put).size).toBe(put.length);
});

test('trust that is revoked amid the shards makes the dump wait when its session ends; mended, it goes on', async () => {
  const customer = await connected('distrusted');
  sessionsLast(sdkRenewsBeforeMs + renewedAtMs);
  refuseSessionsAt(renewedAtMs + 5_000);
  await announce(customer);
  await copying(customer);
  await customer.customer.setTrust(trustPolicy(parseAccountId('somebody-else')));
  const { dump } = await waits(customer);
  expect(dump?.tables[table]).toMatchObject({ fault: { type: 'RoleNotAssumable', mender: 'customer' } });
  expect(dump?.retrying).toEqual([]);

  await customer.customer.setTrust(trustPolicy(customer.accountId));
  await endToEnd.destinations.retry(customer.accountId);
  await expectDelivered(customer);
  const put = stored(customer.bucket);
  expect(new Set(put).size).toBe(put.length);
});
