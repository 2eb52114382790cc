/**
 * Each permission of Google's is taken away, as docs/authorisation.md lists them: from one table of a dump each, so that one
 * dump tries them all. What the stand-ins do not refuse, proxies do.
 */
import { Client, Connection } from '@temporalio/client';
import type { CustomerAccount } from '../../sandbox/aws';
import { project, Sandbox, stagingBucket } from '../../sandbox/sandbox';
import { Destinations } from '../../src/client/destinations';
import { isFailureType } from '../../src/contract';
import { parseAccountId, parseBucketName } from '../../src/dump/inputs';
import { dumpStatusQuery } from '../../src/workflows/messages';
import { googleError } from '../crash/traffic';
import { FaultProxy, type Armed, type Asked } from '../end-to-end/fault-proxy';
import { eventually } from '../eventually';
import { blocksUnder, codeIn, tableUnder } from './document';

const rows = tableUnder('Google, without it').map((row, index) => ({
  permission: codeIn(row['permission'])[0],
  who: row['who'] ?? '',
  methods: codeIn(row['asked by']),
  outcome: row['without it'] ?? '',
  /** The table that it is taken from. */
  table: `lacks_${index}`,
}));
type Permission = (typeof rows)[number];

/** BigQuery REST reference, Cloud Storage JSON API reference: the methods by their names. */
const methods: Readonly<Record<string, RegExp>> = {
  'tables.get': /^GET \/bigquery\/v2\/projects\/[^/]+\/datasets\/[^/]+\/tables\/[^/]+$/,
  'jobs.insert': /^POST \/bigquery\/v2\/projects\/[^/]+\/jobs$/,
  'jobs.get': /^GET \/bigquery\/v2\/projects\/[^/]+\/jobs\/[^/]+$/,
  'jobs.cancel': /^POST \/bigquery\/v2\/projects\/[^/]+\/jobs\/[^/]+\/cancel$/,
  'objects.insert': /^POST \/upload\/storage\/v1\/b\/[^/]+\/o$/,
  'objects.list': /^GET \/storage\/v1\/b\/[^/]+\/o$/,
  'objects.get': /^GET \/storage\/v1\/b\/[^/]+\/o\/.+$/,
  'objects.delete': /^DELETE \/storage\/v1\/b\/[^/]+\/o\/.+$/,
};

const methodOf = ({ method, path }: Asked): string => {
  const request = `${method} ${path.replace(/\?.*/s, '')}`;
  return Object.keys(methods).find((name) => methods[name]?.test(request)) ?? request;
};

/** "Troubleshoot IAM permissions in BigQuery", and Cloud Storage's "HTTP status and error codes for JSON". */
const refusal = (permission: string) =>
  permission.startsWith('bigquery.')
    ? googleError(403, 'accessDenied', `Access Denied: Permission ${permission} denied (or it may not exist).`)
    : googleError(403, 'forbidden', `Permission '${permission}' denied on resource (or it may not exist).`);

const dataset = 'authorised';
const jobMayNotWrite = 'job_may_not_write';
const foundAgain = 'found_again';
const cancelled = 'cancelled';

let sandbox: Sandbox;
let connection: Connection;
let client: Client;
let destinations: Destinations;
let proxies: Readonly<Record<string, { readonly bigquery: FaultProxy; readonly storage: FaultProxy }>>;
const refusals = new Map<Permission, Armed>();

beforeAll(async () => {
  sandbox = await Sandbox.start({ ports: 'free', say: () => {} });
  const { environment } = sandbox;
  const before = async () => ({
    bigquery: await FaultProxy.start(environment['BIGQUERY_ENDPOINT'] ?? ''),
    storage: await FaultProxy.start(environment['STORAGE_ENDPOINT'] ?? ''),
  });
  proxies = { 'control worker': await before(), 'copy worker': await before() };
  connection = await Connection.connect({ address: environment['TEMPORAL_ADDRESS'] ?? '' });
  client = new Client({ connection });
  destinations = new Destinations(client);
  await makeTables([...rows.map(({ table }) => table), jobMayNotWrite, foundAgain, cancelled]);
  await Promise.all(
    ['control', 'copy'].map((queues) => {
      const { bigquery, storage } = proxiesOf(`${queues} worker`);
      return sandbox.startWorker({ BIGQUERY_ENDPOINT: bigquery.url, STORAGE_ENDPOINT: storage.url }, queues);
    }),
  );
});

afterAll(async () => {
  await connection?.close();
  for (const { bigquery, storage } of Object.values(proxies ?? {})) {
    await Promise.all([bigquery.stop(), storage.stop()]);
  }
  await sandbox?.stop();
});

const proxiesOf = (who: string) => {
  const found = proxies[who];
  if (found === undefined) throw new Error(`Nobody is called ${who}`);
  return found;
};

async function makeTables(names: readonly string[]): Promise<void> {
  await sandbox.bigquery.createDataset(dataset, { location: 'EU' });
  for (const name of names) {
    const [table] = await sandbox.bigquery
      .dataset(dataset)
      .createTable(name, { schema: [{ name: 'id', type: 'STRING' }] });
    await table.insert([{ id: name }]);
  }
}

/** All requests of the worker's that need it, as far as they are about the table. */
function takeAway(row: Permission): void {
  const { permission = '', who, table } = row;
  const { bigquery, storage } = proxiesOf(who);
  const arming = {
    matches: (asked: Asked) =>
      row.methods.includes(methodOf(asked)) && new RegExp(`\\b${table}\\b`).test(`${asked.path} ${asked.body}`),
    effect: { kind: 'answer', after: 'nothing', answer: refusal(permission) },
    times: Infinity,
  } as const;
  refusals.set(row, (permission.startsWith('bigquery.') ? bigquery : storage).arm(arming));
}

const asked = (who: string): Set<string> => {
  const { bigquery, storage } = proxiesOf(who);
  return new Set([...bigquery.exchanges, ...storage.exchanges].map((exchange) => methodOf(exchange.asked)));
};

async function connected(name: string, tables: readonly string[]): Promise<CustomerAccount> {
  const bucket = parseBucketName(`${name}-bucket`);
  const customer = await sandbox.addCustomer(parseAccountId(name), bucket, { roleName: name, region: 'us-east-1' });
  await destinations.connect(name, { roleArn: customer.roleArn, bucket, tables: [...tables] });
  return customer;
}

const announce = (name: string): Promise<void> =>
  destinations.modellingRunSucceeded(name, {
    runId: 'run-1',
    finishedAt: new Date(),
    dataset: `${project}.${dataset}`,
  });

const outcomeOf = async (name: string) => (await destinations.status(name)).destination.recentDumps[0]?.outcome;
const ended = (name: string) =>
  eventually(
    () => outcomeOf(name),
    (outcome) => outcome !== undefined,
  );

const needed = rows.filter(({ permission }) => permission !== undefined);
/** Needed for what is answered, not for what is asked. */
const silent = needed.filter((row) => row.methods.length === 0);
const waiting = needed.filter((row) => row.permission !== 'storage.objects.delete' && !silent.includes(row));
const clearing = needed.filter(({ permission }) => permission === 'storage.objects.delete');

describe('a dump whose tables lack one permission each', () => {
  const account = 'lacking';
  let faults: Readonly<Record<string, unknown>>;

  beforeAll(async () => {
    await connected(account, [...needed.map(({ table }) => table), jobMayNotWrite, foundAgain]);
    for (const row of needed) takeAway(row);
    const { bigquery } = proxiesOf('control worker');
    const about = (table: string) => (request: Asked) => request.path.includes(table) || request.body.includes(table);
    bigquery.arm({
      matches: (request) => methodOf(request) === 'jobs.insert' && about(foundAgain)(request),
      effect: { kind: 'answer', after: 'the service', answer: googleError(503, 'backendError', 'Backend Error') },
    });
    // VPC Service Controls documentation, "Troubleshooting": what an extract job ends with that may not write.
    const message = 'Access Denied: BigQuery BigQuery: Permission denied while writing data.';
    const status = { state: 'DONE', errorResult: { reason: 'accessDenied', message } };
    const job = bigquery.arm({
      matches: (request) => methodOf(request) === 'jobs.get' && about(jobMayNotWrite)(request),
      effect: {
        kind: 'rewrite',
        change: (answer) =>
          answer.includes('"error"') ? answer : JSON.stringify({ ...(JSON.parse(answer) as object), status }),
      },
      times: Infinity,
    });
    await announce(account);
    const { dump } = await eventually(
      () => destinations.status(account),
      ({ dump: atWork }) => {
        const states = Object.entries(atWork?.tables ?? {}).map(([table, { state }]) => ({ table, state }));
        const isOver = (state: string): boolean => state === 'needs attention' || state === 'delivered';
        return states.length > 0 && states.every(({ state }) => isOver(state));
      },
    );
    faults = Object.fromEntries(
      Object.entries(dump?.tables ?? {}).map(([table, progress]) => [
        table,
        progress.state === 'needs attention' ? progress.fault : progress.state,
      ]),
    );
    for (const row of waiting) refusals.get(row)?.release();
    job.release();
    await destinations.retry(account);
  });

  test.each(waiting.map((row) => [row.permission ?? '', row.who, row] as const))(
    'waits for %s of the %s, which it names',
    (permission, _who, { table, outcome }) => {
      const [type] = codeIn(outcome).filter(isFailureType);
      expect(faults[table]).toMatchObject({
        type,
        mender: 'vendor',
        remedy: expect.stringContaining(`identity ${permission} `) as string,
      });
    },
  );

  test('waits where the extract job itself may not write to the staging bucket', () => {
    expect(faults[jobMayNotWrite]).toMatchObject({
      type: 'StagingAccessDenied',
      remedy: expect.stringContaining(
        `storage.objects.create and storage.objects.delete on gs://${stagingBucket}`,
      ) as string,
    });
  });

  test('does not wait for what it does not lack', () => {
    for (const table of [foundAgain, ...[...clearing, ...silent].map((row) => row.table)])
      expect(faults[table]).toBe('delivered');
  });

  test('is delivered when they are granted; what it may not delete stays, and its details say why', async () => {
    expect(await ended(account)).toBe('delivered');
    const [row] = clearing;
    const staged = await sandbox.staged();
    expect(staged.filter((name) => name.includes(`/${row?.table ?? ''}/`)).length).toBeGreaterThan(0);
    const { destination } = await destinations.status(account);
    const dump = client.workflow.getHandle(`dump/${account}/${destination.recentDumps[0]?.folder ?? ''}`);
    const { stagingLeft } = await dump.query(dumpStatusQuery);
    expect(stagingLeft).toContain(`identity ${row?.permission ?? ''} on gs://${stagingBucket}`);
  });
});

test('a dump that is abandoned while it extracts may cancel its jobs', async () => {
  const account = 'abandoned';
  await connected(account, [cancelled]);
  const { bigquery } = proxiesOf('control worker');
  const isAsked = (method: string) => (request: Asked) =>
    methodOf(request) === method && request.path.includes(account);
  const runs = bigquery.arm({
    matches: isAsked('jobs.get'),
    effect: { kind: 'rewrite', change: (answer) => answer.replace(/"state":"\w+"/, '"state":"RUNNING"') },
    times: Infinity,
  });
  await announce(account);
  await runs.hit;
  await destinations.abandon(account);
  await eventually(
    async () => bigquery.recorded.some(isAsked('jobs.cancel')),
    (isCancelled) => isCancelled,
  );
  runs.release();
  expect(await ended(account)).toBe('abandoned');
});

test.each(['control worker', 'copy worker'])('the %s asks for what the document lists, and for nothing else', (who) => {
  const listed = rows.filter((row) => row.who === who).flatMap((row) => row.methods);
  expect([...asked(who)].toSorted()).toEqual([...new Set(listed)].toSorted());
});

test('the roles to be made have these permissions', () => {
  const [control = '', copy = ''] = blocksUnder('Google', 'sh');
  const granted = (commands: string): string[] =>
    [...commands.matchAll(/--permissions (\S+)/g)].flatMap(([, list = '']) => list.split(','));
  const listed = (who: string) => needed.flatMap((row) => (row.who === who ? (row.permission ?? []) : []));
  // The predefined role that may create jobs.
  const ofPredefined = control.includes('roles/bigquery.jobUser') ? ['bigquery.jobs.create'] : [];
  expect([...granted(control), ...ofPredefined].toSorted()).toEqual(listed('control worker').toSorted());
  expect(granted(copy).toSorted()).toEqual(listed('copy worker').toSorted());
});
