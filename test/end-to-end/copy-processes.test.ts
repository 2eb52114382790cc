/** One worker command that copies by two processes beside its own. */
import { execFileSync } from 'node:child_process';
import os from 'node:os';
import { compiled, start, type Running } from '../../sandbox/processes';
import { parseAccountId, parseBucketName } from '../../src/dump/inputs';
import { eventually } from '../eventually';
import { dataset, EndToEnd } from './environment';
import type { Asked, Recorded } from './fault-proxy';
import { repeated, shardsPutBy, toldShards } from './told-shards';

const shardMs = 100;
const processes = 2;
let endToEnd: EndToEnd;

beforeAll(async () => {
  endToEnd = await EndToEnd.start({ scale: 0.05, shardRows: 1 });
  endToEnd.proxies.aws.latencyMs = (asked) => (isShard(asked) ? shardMs : 0);
});
afterAll(() => endToEnd.stop());

const isShard = ({ path }: Asked): boolean => path.includes('.ndjson.gz');
const stored = (): Recorded[] =>
  endToEnd.proxies.aws.recorded.filter((asked) => isShard(asked) && asked.status === 200);

/** The processes that `parent` has started and that live. */
function childrenOf(parent: number): number[] {
  const table = execFileSync('ps', ['-A', '-o', 'pid=,ppid=,stat='], { encoding: 'utf8' });
  return table.split('\n').flatMap((line) => {
    const [pid, ppid, state = ''] = line.trim().split(/\s+/);
    return Number(ppid) === parent && !state.startsWith('Z') ? [Number(pid)] : [];
  });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Announces a run of its own customer, and waits until some of its shards are there. */
async function amidTheShards(name: string): Promise<ReturnType<typeof parseAccountId>> {
  const account = parseAccountId(name);
  const bucket = parseBucketName(`${name}-data`);
  const { roleArn } = await endToEnd.sandbox.addCustomer(account, bucket, { roleName: name, region: 'us-east-1' });
  await endToEnd.destinations.connect(account, { roleArn, bucket, tables: ['companies'] });
  endToEnd.proxies.aws.recorded.length = 0;
  await endToEnd.destinations.modellingRunSucceeded(account, { runId: 'run-1', finishedAt: new Date(), dataset });
  await eventually(
    async () => stored().length,
    (count) => count >= 40,
  );
  return account;
}

const inFlight = 2;
const startWorker = (): Promise<Running> =>
  endToEnd.startWorker({ COPY_ACTIVITIES: '2', COPY_SHARDS_IN_FLIGHT: String(inFlight) }, 'all', undefined, processes);

test('a copying process that is killed is started again, and its shards are resumed', async () => {
  const worker = await startWorker();
  const [killed = 0, ...others] = childrenOf(worker.pid);
  expect(others).toHaveLength(processes - 1);
  const account = await amidTheShards('killed-copier');
  const workflowId = await endToEnd.dumpAtWork(account);
  process.kill(killed, 'SIGKILL');
  const begun = new Set(shardsPutBy(endToEnd.proxies.aws.exchanges.map(({ asked }) => asked)));
  const told = await toldShards(endToEnd.client, workflowId);
  expect(await endToEnd.ended(account, 'run-1')).toMatchObject({ outcome: 'delivered', total: { shards: 400 } });
  const again = repeated(shardsPutBy(stored()));
  expect(again.filter((shard) => told.has(shard) || !begun.has(shard))).toEqual([]);
  expect(worker.output()).toContain('A copying process ended (SIGKILL)');
  const now = childrenOf(worker.pid);
  expect(now).toHaveLength(processes);
  expect(now).not.toContain(killed);
  expect(now).toEqual(expect.arrayContaining(others));
  await worker.stop();
});

test('a copying process that is told to stop on its own ends, and another takes its place', async () => {
  const worker = await startWorker();
  const [stopped = 0] = childrenOf(worker.pid);
  process.kill(stopped, 'SIGTERM');
  await eventually(
    async () => worker.output(),
    (output) => output.includes('A copying process ended (exit code 0)'),
  );
  const now = await eventually(
    async () => childrenOf(worker.pid),
    (children) => children.length === processes,
  );
  expect(now).not.toContain(stopped);
  await worker.stop();
});

test('a worker that is told to stop takes its copying processes with it, and another goes on where they were', async () => {
  const worker = await startWorker();
  const children = childrenOf(worker.pid);
  const account = await amidTheShards('stopped-worker');
  await worker.stop();
  expect(await worker.exited).toBe(0);
  expect(children.filter(isAlive)).toEqual([]);
  const before = stored().length;
  const next = await startWorker();
  expect(await endToEnd.ended(account, 'run-1')).toMatchObject({ outcome: 'delivered', total: { shards: 400 } });
  expect(before).toBeLessThan(400);
  // Nothing that was stored was put again.
  expect(stored()).toHaveLength(400);
  await next.stop();
});

test('a worker that is told nothing else copies by as many processes as there are cores', async () => {
  const environment = { ...endToEnd.sandbox.environment, ACCESS_CHECK_AT: 'off' };
  const worker = start('The worker', process.execPath, [compiled('src', 'worker.js')], environment);
  try {
    const children = await eventually(
      async () => childrenOf(worker.pid),
      ({ length }) => length >= os.availableParallelism(),
    );
    expect(children).toHaveLength(os.availableParallelism());
  } finally {
    await worker.stop();
  }
});

test('a worker that is killed leaves no copying process behind', async () => {
  const worker = await startWorker();
  const children = childrenOf(worker.pid);
  expect(children).toHaveLength(processes);
  worker.kill('SIGKILL');
  const left = await eventually(
    async () => children.filter(isAlive),
    (alive) => alive.length === 0,
    40_000,
  );
  expect(left).toEqual([]);
});
