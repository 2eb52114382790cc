/** The promise to customers, on the whole sandbox: a worker process, a real Temporal server, the real clients. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { DuckDBInstance } from '@duckdb/node-api';
import type { TableField } from '@google-cloud/bigquery';
import { AssumeRoleCommand, STSClient } from '@aws-sdk/client-sts';
import type { CustomerAccount } from '../../sandbox/aws';
import { compiled } from '../../sandbox/processes';
import { loadBucket, project, type Sandbox } from '../../sandbox/sandbox';
import type { DestinationReport, Destinations } from '../../src/client/destinations';
import { taskQueues } from '../../src/contract';
import { defaultTables, parseAccountId, parseBucketName } from '../../src/dump/inputs';
import { defaultVendorRoleArn, trustPolicy } from '../../src/dump/policies';
import { eventually } from '../eventually';
import { compareRows, keysIn, readJson, type GuideColumn, type GuideReceipt } from './delivered';
import { dataset, EndToEnd } from './environment';
import type { FaultProxy } from './fault-proxy';
import { plainText } from './plain-text';

const account = parseAccountId('acc_7Hq2');
const bucket = parseBucketName('acme-data-platform');

let endToEnd: EndToEnd;
let sandbox: Sandbox;
let proxy: FaultProxy;
let destinations: Destinations;
let customer: CustomerAccount;

beforeAll(async () => {
  endToEnd = await EndToEnd.start({
    scale: 0.05,
    shardRows: 500,
    emptyTable: 'paid_ads',
    shardRowsOf: { companies: 2 },
  });
  ({ sandbox, destinations } = endToEnd);
  proxy = endToEnd.proxies.aws;
  [customer] = await Promise.all([sandbox.addCustomer(account, bucket), endToEnd.startWorker()]);
});
afterAll(() => endToEnd?.stop());

const waitsForAttention = (accountId: string) =>
  eventually(
    () => destinations.status(accountId),
    ({ dump }) => dump?.state === 'NeedsAttention' && !Object.values(dump.tables).some(({ state }) => isAtWork(state)),
  );

const isAtWork = (state: string): boolean => ['extracting', 'copying', 'uploading schema'].includes(state);

const execute = promisify(execFile);
const commandLine = (...args: string[]) =>
  execute(process.execPath, [compiled('src', 'client.js'), ...args], {
    env: { PATH: process.env['PATH'], ...sandbox.environment },
  });

describe('a dump of tables that change while it runs', () => {
  let receipt: GuideReceipt;

  beforeAll(async () => {
    await destinations.connect(account, { roleArn: customer.roleArn, bucket });
    const finishedAt = new Date();
    await untilLater(finishedAt);
    await changeTables('before the dump');
    // However long the changes take, no extract job is done before them.
    const jobs = endToEnd.proxies.bigquery.arm({
      matches: ({ method, path }) => method === 'GET' && path.includes('/jobs/'),
      effect: { kind: 'rewrite', change: (answer) => answer.replace('"state":"DONE"', '"state":"RUNNING"') },
      times: Infinity,
    });
    await destinations.modellingRunSucceeded(account, { runId: 'run-1', finishedAt, dataset });
    await eventually(
      () => destinations.status(account),
      ({ dump }) => dump?.tables['events']?.state === 'extracting',
    );
    await changeTables('during the dump');
    jobs.release();
    await endToEnd.ended(account, 'run-1');
    receipt = await readJson<GuideReceipt>(customer, 'receipt.json');
  });

  /** Rows come, and all but one of a table go, as when the next modelling run writes. */
  async function changeTables(mark: string): Promise<void> {
    const tables = sandbox.bigquery.dataset('data_platform');
    await tables.table('companies').insert([{ company_id: mark, name: mark }]);
    await tables.table('events').insert([{ event_id: mark }]);
    const oneRow = endToEnd.parquetFile('revenue-of-one-row');
    await writeFirstRow(endToEnd.parquetFile('revenue'), oneRow);
    const [file] = await sandbox.storage
      .bucket(loadBucket)
      .upload(oneRow, { destination: 'revenue', resumable: false });
    const load = { sourceFormat: 'PARQUET', writeDisposition: 'WRITE_TRUNCATE' };
    const [job] = await tables.table('revenue').createLoadJob(file, load);
    await job.promise();
  }

  async function writeFirstRow(parquetFile: string, into: string): Promise<void> {
    const instance = await DuckDBInstance.create(':memory:');
    try {
      const connection = await instance.connect();
      await connection.run(`COPY (FROM read_parquet('${parquetFile}') LIMIT 1) TO '${into}' (FORMAT parquet)`);
    } finally {
      instance.closeSync();
    }
  }

  test.each(defaultTables)('delivers the rows of %s as they were when the run finished', async (table) => {
    const delivered = receipt.tables[table];
    if (delivered === undefined) throw new Error(`The receipt does not name ${table}`);
    const difference = await compareRows(customer, delivered, endToEnd.parquetFile(table));
    expect(difference).toEqual({
      sourceRows: difference.sourceRows,
      deliveredRows: difference.sourceRows,
      missing: 0,
      unexpected: 0,
    });
    expect(difference.sourceRows === 0).toBe(table === 'paid_ads');
  });

  test('counts exactly the objects of each folder, 200 shards and an empty table included', async () => {
    const counts = await Promise.all(
      Object.values(receipt.tables).map(async ({ folder, total_file_count }) => [
        total_file_count,
        (await keysIn(customer, folder)).length,
      ]),
    );
    for (const [promised, found] of counts) expect(found).toBe(promised);
    expect(receipt.tables['companies']?.total_file_count).toBe(200);
    expect(receipt.tables['paid_ads']).toBeDefined();
  });

  test('writes a receipt with exactly the promised fields', () => {
    const folder = receipt.timestamp.slice(0, 16);
    expect(receipt.timestamp).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
    expect(receipt).toEqual({
      timestamp: expect.any(String) as string,
      tables: Object.fromEntries(
        defaultTables.map((table) => [
          table,
          {
            folder: `${folder}/${table}`,
            total_file_count: expect.any(Number) as number,
            schemas: { bigquery: `${folder}/schemas/bigquery/${table}.json` },
          },
        ]),
      ),
    });
  });

  test('names shards from zero with twelve digits, as gzip without a content encoding', async () => {
    const [first] = await keysIn(customer, receipt.tables['companies']?.folder ?? '');
    expect(first).toBe(`${receipt.tables['companies']?.folder ?? ''}/companies_000000000000.ndjson.gz`);
    const shard = await customer.read(first ?? '');
    expect(shard).toMatchObject({ contentType: 'application/gzip', contentEncoding: undefined });
    expect((await customer.read('receipt.json')).contentType).toBe('application/json');
  });

  test('uploads schemas that make a table in BigQuery', async () => {
    for (const [table, { schemas }] of Object.entries(receipt.tables)) {
      const fields = await readJson<GuideColumn[]>(customer, schemas.bigquery);
      const [made] = await sandbox.bigquery
        .dataset('data_platform')
        .createTable(`loaded_${table}`, { schema: fields as TableField[] });
      const [original] = await sandbox.bigquery.dataset('data_platform').table(table).getMetadata();
      const [loaded] = await made.getMetadata();
      expect(namesAndTypes(loaded.schema.fields)).toEqual(namesAndTypes(original.schema.fields));
    }
  });

  test('writes the receipt after everything else', async () => {
    const puts = proxy.recorded.filter(({ method, path: key }) => method === 'PUT' && key.startsWith(`/${bucket}/`));
    expect(puts.map(({ path: key }) => key).findIndex((key) => key.startsWith(`/${bucket}/receipt.json`))).toBe(
      puts.length - 1,
    );
    const objects = await customer.objects();
    const written = Number(objects.find(({ Key }) => Key === 'receipt.json')?.LastModified);
    for (const { LastModified } of objects) expect(Number(LastModified)).toBeLessThanOrEqual(written);
  });

  test('learns the region of the bucket without failing an activity', async () => {
    const { destination } = await destinations.status(account);
    const dump = endToEnd.client.workflow.getHandle(`dump/${account}/${destination.recentDumps[0]?.folder ?? ''}`);
    const { events = [] } = await dump.fetchHistory();
    const attempts = (events ?? []).map(
      ({ activityTaskStartedEventAttributes }) => activityTaskStartedEventAttributes?.attempt ?? 1,
    );
    expect(new Set(attempts)).toEqual(new Set([1]));
    expect(proxy.recorded.filter(({ status }) => status === 301).length).toBeGreaterThan(0);
  });

  test('leaves nothing in staging', async () => {
    expect(await sandbox.staged()).toEqual([]);
  });

  test('asks nothing of the customer but to assume the role and to put', () => {
    const asked = proxy.recorded.map(({ method, path: key, action }) =>
      key.startsWith('/?') || key === '/' ? action : `${method} object`,
    );
    expect(new Set(asked)).toEqual(new Set(['GetCallerIdentity', 'AssumeRole', 'PUT object']));
  });

  test.each([
    ['shard', '.ndjson.gz', 200],
    ['schema', '/schemas/bigquery/', defaultTables.length],
    ['receipt', '/receipt.json', 1],
  ])('puts each %s with its length, its checksum, the owner and the ACL', (_what, part, atLeast) => {
    const puts = proxy.recorded.filter(({ path: key, status }) => key.includes(part) && status !== 301);
    expect(puts.length).toBeGreaterThanOrEqual(atLeast);
    for (const { headers, status } of puts) {
      expect(status).toBe(200);
      expect(headers).toMatchObject({
        'content-length': expect.stringMatching(/^[1-9]\d*$/) as string,
        'x-amz-checksum-crc32c': expect.stringMatching(/^[\w+/]{6}==$/) as string,
        'x-amz-expected-bucket-owner': '111122223333',
        'x-amz-acl': 'bucket-owner-full-control',
      });
    }
  });

  test('keeps every key, secret and session token out of the histories', async () => {
    const secrets = proxy.recorded.flatMap(({ answer }) =>
      ['AccessKeyId', 'SecretAccessKey', 'SessionToken'].flatMap((name) => {
        const [, value] = new RegExp(`<${name}>([^<]+)</${name}>`).exec(answer) ?? [];
        return value === undefined ? [] : [value];
      }),
    );
    secrets.push(sandbox.environment['AWS_ACCESS_KEY_ID'] ?? '', sandbox.environment['AWS_SECRET_ACCESS_KEY'] ?? '');
    expect(secrets.length).toBeGreaterThan(8);
    const texts: string[] = [];
    for await (const { workflowId, runId } of endToEnd.client.workflow.list()) {
      const history = await endToEnd.client.workflow.getHandle(workflowId, runId).fetchHistory();
      texts.push(plainText(history));
    }
    // What payloads hold is found.
    expect(texts.some((text) => text.includes(bucket))).toBe(true);
    for (const text of texts) {
      expect(text).toContain(taskQueues.control);
      for (const secret of secrets) expect(text).not.toContain(secret);
    }
  });
});

test('with a path, every key is under it and in the receipt', async () => {
  const accountId = parseAccountId('acc_path');
  const pathBucket = parseBucketName('path-data-platform');
  const withPath = await sandbox.addCustomer(accountId, pathBucket, { roleName: 'with-path', region: 'us-east-1' });
  await destinations.connect(accountId, {
    roleArn: withPath.roleArn,
    bucket: pathBucket,
    path: 'exports/dream data',
    tables: ['contacts'],
  });
  await destinations.modellingRunSucceeded(accountId, { runId: 'run-1', finishedAt: new Date(), dataset });
  expect(await endToEnd.ended(accountId, 'run-1')).toMatchObject({ receiptKey: 'exports/dream data/receipt.json' });
  const receipt = await readJson<GuideReceipt>(withPath, 'exports/dream data/receipt.json');
  expect(receipt.tables['contacts']?.folder).toMatch(/^exports\/dream data\/\d{4}-\d\d-\d\dT\d\d:\d\d\/contacts$/);
  for (const { Key } of await withPath.objects()) expect(Key).toMatch(/^exports\/dream data\//);
  const difference = await compareRows(
    withPath,
    receipt.tables['contacts'] ?? { folder: '', total_file_count: 0, schemas: { bigquery: '' } },
    endToEnd.parquetFile('contacts'),
  );
  expect(difference).toMatchObject({ missing: 0, unexpected: 0 });
});

test('a role that wants another external id is refused, the dump says what to mend, and a retry delivers it', async () => {
  const accountId = parseAccountId('acc_trust');
  const trustBucket = parseBucketName('trust-data-platform');
  const distrustful = await sandbox.addCustomer(accountId, trustBucket, { roleName: 'distrustful' });
  await destinations.connect(accountId, {
    roleArn: distrustful.roleArn,
    bucket: trustBucket,
    tables: ['contacts', 'revenue'],
  });
  await distrustful.setTrust(trustPolicy(parseAccountId('somebody-else')));
  await destinations.modellingRunSucceeded(accountId, { runId: 'run-1', finishedAt: new Date(), dataset });

  const { dump } = await waitsForAttention(accountId);
  expect(dump?.stepFault).toMatchObject({ type: 'RoleNotAssumable', mender: 'customer', retriesHourly: true });
  expect(dump?.stepFault?.problem).toContain(`[role=${distrustful.roleArn} externalId=${accountId}]`);
  expect(dump?.stepFault?.remedy).toContain(JSON.stringify(trustPolicy(accountId)));
  expect((await distrustful.objects()).map(({ Key }) => Key)).toEqual(['connection-check.json']);
  // A refusal is believed after half a minute; meanwhile whoever waits is told, by whichever attempt is the last so far.
  await expect(commandLine('check', accountId)).rejects.toMatchObject({
    code: 1,
    stderr: expect.stringMatching(
      /^Refused so far \(attempt \d+: RoleNotAssumable\)[^]*The vendor role may not assume the customer role/,
    ) as string,
  });

  await distrustful.setTrust(trustPolicy(accountId));
  expect((await commandLine('check', accountId)).stdout).toMatch(/^Access is proven/);
  const { stdout } = await commandLine('retry', accountId);
  expect(stdout).toMatch(/^Asked dump\/acc_trust\/.* to retry all that waits\.\n$/);
  expect(await endToEnd.ended(accountId, 'run-1')).toMatchObject({ outcome: 'delivered' });
});

test('the stand-in refuses the customer role without an external id and with a wrong one', async () => {
  const endpoint = sandbox.environment['AWS_ENDPOINT_URL'] ?? '';
  const worker = new STSClient({
    endpoint,
    region: 'us-east-1',
    credentials: {
      accessKeyId: sandbox.environment['AWS_ACCESS_KEY_ID'] ?? '',
      secretAccessKey: sandbox.environment['AWS_SECRET_ACCESS_KEY'] ?? '',
    },
  });
  const { Credentials } = await worker.send(
    new AssumeRoleCommand({ RoleArn: defaultVendorRoleArn, RoleSessionName: 'test' }),
  );
  const vendor = new STSClient({
    endpoint,
    region: 'us-east-1',
    credentials: {
      accessKeyId: Credentials?.AccessKeyId ?? '',
      secretAccessKey: Credentials?.SecretAccessKey ?? '',
      sessionToken: Credentials?.SessionToken ?? '',
    },
  });
  const assume = (externalId: string | undefined) =>
    vendor.send(new AssumeRoleCommand({ RoleArn: customer.roleArn, RoleSessionName: 'test', ExternalId: externalId }));
  await expect(assume(undefined)).rejects.toMatchObject({ name: 'AccessDenied' });
  await expect(assume('somebody-else')).rejects.toMatchObject({ name: 'AccessDenied' });
  await expect(assume(account)).resolves.toBeDefined();
});

test('a view, a missing table and a location without staging are named, and the other tables are stored meanwhile', async () => {
  const accountId = parseAccountId('acc_wrong');
  const wrongBucket = parseBucketName('wrong-data-platform');
  const wrong = await sandbox.addCustomer(accountId, wrongBucket, { roleName: 'wrong' });
  await sandbox.bigquery
    .dataset('data_platform')
    .createTable('a_view', { view: { query: 'SELECT 1 AS one', useLegacySql: false } });
  await destinations.connect(accountId, {
    roleArn: wrong.roleArn,
    bucket: wrongBucket,
    tables: ['a_view', 'nowhere', 'contacts'],
  });
  await destinations.modellingRunSucceeded(accountId, { runId: 'run-1', finishedAt: new Date(), dataset });
  const { dump } = await waitsForAttention(accountId);
  expect(dump?.tables).toMatchObject({
    a_view: { state: 'needs attention', fault: { type: 'TableNotExtractable', mender: 'vendor' } },
    nowhere: { state: 'needs attention', fault: { type: 'TableMissing', mender: 'vendor' } },
    contacts: { state: 'delivered' },
  });
  expect((await wrong.objects()).map(({ Key }) => Key)).not.toContain('receipt.json');

  // A newer run takes the waiting dump's place, in another location.
  await sandbox.bigquery.createDataset('american', { location: 'US' });
  const [american] = await sandbox.bigquery
    .dataset('american')
    .createTable('contacts', { schema: [{ name: 'id', type: 'STRING' }] });
  expect(american.id).toBe('contacts');
  await destinations.connect(accountId, { roleArn: wrong.roleArn, bucket: wrongBucket, tables: ['contacts'] });
  await destinations.modellingRunSucceeded(accountId, {
    runId: 'run-2',
    finishedAt: new Date(),
    dataset: `${project}.american`,
  });
  expect(await endToEnd.ended(accountId, 'run-1')).toMatchObject({ outcome: 'superseded' });
  const next = await eventually(
    () => destinations.status(accountId),
    ({ dump: second }) => second?.state === 'NeedsAttention',
    80_000,
  );
  expect(next.dump?.tables['contacts']).toMatchObject({
    fault: { type: 'StagingLocationNotConfigured', remedy: expect.stringContaining('STAGING_BUCKETS') as string },
  });
});

test('the command line shows the same status to people and to programs', async () => {
  const { stdout: text } = await commandLine('status', account);
  expect(text).toMatch(/acc_7Hq2 is connected: s3:\/\/acme-data-platform\/\n(.*\n)*last dump: .* delivered\n/);
  const { stdout: json } = await commandLine('status', account, '--json');
  const report = JSON.parse(json) as DestinationReport;
  expect(report.destination.recentDumps.at(-1)).toMatchObject({ outcome: 'delivered', runId: 'run-1' });
  await expect(commandLine('status', 'acc_unknown')).rejects.toMatchObject({
    code: 1,
    stderr: 'Account acc_unknown has no destination yet: connect it first.\n',
  });
});

const untilLater = (instant: Date): Promise<unknown> =>
  eventually(
    async () => Date.now(),
    (now) => now > instant.getTime() + 1,
  );

const namesAndTypes = (fields: readonly { name?: string; type?: string; mode?: string }[]) =>
  fields.map(({ name, type, mode }) => ({ name, type, mode }));
