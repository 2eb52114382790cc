/** Everything that is done to the program while it delivers, and how it is staged. */
import type { ServerName } from '../../sandbox/sandbox';
import type { Proxies } from '../end-to-end/environment';
import type { Answer, Asked, Effect, Recorded } from '../end-to-end/fault-proxy';
import type { Scene } from './scene';
import {
  fromNth,
  garbage,
  googleError,
  jobInsertion,
  jobRead,
  nth,
  pathOf,
  receiptPut,
  roleAssumption,
  s3Error,
  schemaPut,
  schemaRead,
  shardPut,
  shardRead,
  stagedDelete,
  stagedSchemaWrite,
  stagingList,
  stsError,
  tableRead,
  type Matches,
} from './traffic';

export interface Fault {
  readonly name: string;
  readonly kind: 'kill' | 'restart' | 'outage' | 'refusal' | 'connection' | 'stall' | 'damage' | 'order';
  /** Arms what it needs before its first `await`; then the run is announced. Resolves when the fault is over. */
  readonly stage: (scene: Scene) => Promise<Over>;
  /** How many dumps are delivered, of the runs that are announced; 1 unless given. */
  readonly delivers?: number;
  /** Whether S3 may be sent a dump's receipt again, the same one, as nobody can know that it has it. */
  readonly repeatsReceipt?: boolean;
}

export interface Over {
  /** When the worker was killed, or the server answered again; epoch milliseconds. */
  readonly atMs: number;
  /** What shows that work goes on. */
  readonly isProgress: (recorded: Recorded) => boolean;
}

/** Any answer that is no failure to a request made since. */
const anythingSince = (atMs: number): Over => ({
  atMs,
  isProgress: ({ beganAtMs, status }) => beganAtMs >= atMs && status < 400,
});

/** The same request, answered well. */
const sameSince = (atMs: number, asked: Asked): Over => ({
  atMs,
  isProgress: ({ endedAtMs, status, ...recorded }) =>
    endedAtMs > atMs &&
    status < 400 &&
    recorded.method === asked.method &&
    pathOf(recorded) === pathOf(asked) &&
    recorded.action === asked.action,
});

interface Where {
  readonly proxy: keyof Proxies;
  readonly matches: (scene: Scene) => Matches;
}

const at = (proxy: keyof Proxies, matches: (scene: Scene) => Matches): Where => ({ proxy, matches });

/** The worker is killed while the request, or its answer, is held: the step is that far and no farther. */
const killedWhile = (name: string, { proxy, matches }: Where, effect: Effect): Fault => ({
  name: `killed ${name}`,
  kind: 'kill',
  repeatsReceipt: name.includes("commit's PUT"),
  async stage(scene) {
    await scene.arm(proxy, { matches: matches(scene), effect }).hit;
    return anythingSince(await scene.replaceWorker());
  },
});

const before: Effect = { kind: 'hold', side: 'request' };
const beforeAnswer: Effect = { kind: 'hold', side: 'answer' };

const sigterm: Fault = {
  name: 'SIGTERM amid the shards, as in a rolling restart',
  kind: 'kill',
  async stage(scene) {
    await scene.requested('aws', nth(30, shardPut(scene)));
    return anythingSince(await scene.replaceWorker('SIGTERM'));
  },
};

const namedKills: readonly Fault[] = [
  killedWhile('while the role is assumed', at('aws', roleAssumption), beforeAnswer),
  killedWhile('after the role is assumed', at('bigquery', tableRead), before),
  killedWhile('after an extract job is inserted', at('bigquery', jobInsertion), beforeAnswer),
  killedWhile('while a job is running', at('bigquery', jobRead), { kind: 'hold answer like', like: /"RUNNING"/ }),
  killedWhile('after the first shard is put', at('aws', shardPut), beforeAnswer),
  killedWhile(
    'mid-stream of a shard',
    at('aws', (scene) => nth(20, shardPut(scene))),
    { kind: 'hold', side: 'request', afterBytes: 500 },
  ),
  killedWhile('after all shards of a table are put', at('storage', schemaRead), before),
  killedWhile('after a schema is put', at('aws', schemaPut), beforeAnswer),
  killedWhile('before the commit', at('aws', receiptPut), before),
  killedWhile("after the commit's PUT, before its answer", at('aws', receiptPut), beforeAnswer),
  killedWhile(
    'while staging is cleared',
    at('storage', (scene) => nth(20, stagedDelete(scene))),
    beforeAnswer,
  ),
  sigterm,
];

/** The worker is killed so long after the run is announced, and each time again so long after the next worker is up. */
export const randomKills = (number: number, delaysMs: readonly number[]): Fault => ({
  name: `random kills ${number}: after ${delaysMs.map((ms) => `${(ms / 1000).toFixed(1)} s`).join(', ')}`,
  kind: 'kill',
  repeatsReceipt: true,
  async stage(scene) {
    let killedAtMs = 0;
    for (const delayMs of delaysMs) {
      await new Promise((resolve) => setTimeout(resolve, delayMs));
      killedAtMs = await scene.replaceWorker();
    }
    return anythingSince(killedAtMs);
  },
});

/** What was in flight when a server stopped may be done again. */
async function restarted(scene: Scene, server: ServerName, downMs = 0): Promise<number> {
  const stoppedAtMs = Date.now();
  await scene.endToEnd.sandbox.restart(server, () => new Promise((resolve) => setTimeout(resolve, downMs)));
  const upAtMs = Date.now();
  // While Temporal is away nobody can be told of a shard.
  scene.shardsHit += scene.shardsInFlight(stoppedAtMs, server === 'temporal' ? upAtMs : stoppedAtMs);
  return upAtMs;
}

const serverRestarts = (name: string, server: ServerName, { proxy, matches }: Where, downMs = 0): Fault => ({
  name,
  kind: 'restart',
  async stage(scene) {
    await scene.requested(proxy, matches(scene));
    return anythingSince(await restarted(scene, server, downMs));
  },
});

const restarts: readonly Fault[] = [
  serverRestarts('Temporal restarted while tables are extracted', 'temporal', at('bigquery', jobRead)),
  serverRestarts(
    'Temporal restarted amid the shards',
    'temporal',
    at('aws', (scene) => nth(20, shardPut(scene))),
  ),
  serverRestarts(
    'Temporal down for 20 s amid the shards',
    'temporal',
    at('aws', (scene) => nth(20, shardPut(scene))),
    20_000,
  ),
  {
    name: 'Temporal restarted and the worker killed amid the shards',
    kind: 'restart',
    async stage(scene) {
      await scene.requested('aws', nth(20, shardPut(scene)));
      await scene.killWorker();
      const upAtMs = await restarted(scene, 'temporal');
      await scene.startWorker();
      return anythingSince(upAtMs);
    },
  },
  serverRestarts(
    'S3 and STS restarted amid the shards, sessions forgotten',
    'aws',
    at('aws', (scene) => nth(20, shardPut(scene))),
  ),
  serverRestarts(
    'Cloud Storage restarted amid the shards',
    'storage',
    at('storage', (scene) => nth(20, shardRead(scene))),
  ),
  serverRestarts('Cloud Storage restarted while tables are extracted', 'storage', at('bigquery', jobRead)),
  serverRestarts('BigQuery restarted while jobs run: they fail', 'bigquery', at('bigquery', jobRead)),
];

/** Connections are refused for a while. */
const refusing = (name: string, { proxy, matches }: Where, downMs: number): Fault => ({
  name: `${name} refuses connections for ${downMs / 1000} s`,
  kind: 'outage',
  repeatsReceipt: name.includes('commit'),
  async stage(scene) {
    await scene.requested(proxy, matches(scene));
    scene.shardsHit += scene.shardsInFlight(Date.now());
    await scene.proxies[proxy].down();
    await new Promise((resolve) => setTimeout(resolve, downMs));
    await scene.proxies[proxy].up();
    return anythingSince(Date.now());
  },
});

const outages: readonly Fault[] = [
  refusing(
    'S3, amid the shards,',
    at('aws', (scene) => nth(20, shardPut(scene))),
    8_000,
  ),
  refusing('S3, at the commit,', at('aws', receiptPut), 8_000),
  refusing(
    'Cloud Storage, amid the shards,',
    at('storage', (scene) => nth(20, shardRead(scene))),
    8_000,
  ),
  refusing('BigQuery, while jobs run,', at('bigquery', jobRead), 8_000),
];

/** The effect is had on so many requests, one after the other or side by side. */
const suffers = (
  name: string,
  kind: Fault['kind'],
  { proxy, matches }: Where,
  effect: Effect,
  { times = 1, repeatsReceipt = false } = {},
): Fault => ({
  name,
  kind,
  repeatsReceipt,
  async stage(scene) {
    const armed = scene.arm(proxy, { matches: matches(scene), effect, times });
    const last = await armed.spent;
    scene.shardsHit += times;
    return sameSince(Date.now(), last);
  },
});

const told = (answer: Answer): Effect => ({ kind: 'answer', after: 'nothing', answer });
const toldAfterwards = (answer: Answer): Effect => ({ kind: 'answer', after: 'the service', answer });

const slowDown = s3Error(503, 'SlowDown', 'Please reduce your request rate.');
const internalError = s3Error(500, 'InternalError', 'We encountered an internal error. Please try again.');
const backendError = googleError(503, 'backendError', 'Backend Error');
const amid = (matches: (scene: Scene) => Matches) => (scene: Scene) => fromNth(10, matches(scene));

const refusals: readonly Fault[] = [
  suffers('S3 answers 8 shards 503 SlowDown', 'refusal', at('aws', amid(shardPut)), told(slowDown), { times: 8 }),
  suffers('S3 answers 8 shards 500', 'refusal', at('aws', amid(shardPut)), told(internalError), { times: 8 }),
  suffers('S3 answers 500 to a shard that it has', 'refusal', at('aws', amid(shardPut)), toldAfterwards(internalError)),
  suffers('S3 answers 503 SlowDown to a schema', 'refusal', at('aws', schemaPut), told(slowDown)),
  suffers('S3 answers 503 SlowDown to the receipt', 'refusal', at('aws', receiptPut), told(slowDown), { times: 2 }),
  suffers('S3 answers 500 to a receipt that it has', 'refusal', at('aws', receiptPut), toldAfterwards(internalError), {
    repeatsReceipt: true,
  }),
  suffers(
    'STS answers 500',
    'refusal',
    at('aws', roleAssumption),
    told(stsError(500, 'InternalFailure', 'The request processing has failed.')),
    { times: 4 },
  ),
  suffers('Cloud Storage answers 503 to a list', 'refusal', at('storage', stagingList), told(backendError), {
    times: 5,
  }),
  suffers('Cloud Storage answers 503 to 8 reads of shards', 'refusal', at('storage', shardRead), told(backendError), {
    times: 8,
  }),
  suffers(
    'Cloud Storage answers 429 to deletions',
    'refusal',
    at('storage', stagedDelete),
    told(googleError(429, 'rateLimitExceeded', 'The project exceeded the rate limit.')),
    { times: 5 },
  ),
  suffers('BigQuery answers 503 to an insertion', 'refusal', at('bigquery', jobInsertion), told(backendError)),
  suffers(
    'BigQuery answers 503 to an insertion that it took',
    'refusal',
    at('bigquery', jobInsertion),
    toldAfterwards(backendError),
  ),
  suffers('BigQuery answers 500 when asked for a job', 'refusal', at('bigquery', jobRead), told(backendError), {
    times: 5,
  }),
];

const connections: readonly Fault[] = [
  suffers('S3 resets while a shard is sent', 'connection', at('aws', amid(shardPut)), {
    kind: 'reset',
    side: 'request',
    afterBytes: 500,
  }),
  suffers('S3 resets instead of answering, with the shard', 'connection', at('aws', amid(shardPut)), {
    kind: 'reset',
    side: 'answer',
  }),
  suffers(
    'S3 resets instead of answering, with the receipt',
    'connection',
    at('aws', receiptPut),
    { kind: 'reset', side: 'answer' },
    { repeatsReceipt: true },
  ),
  suffers(
    'Cloud Storage resets in the middle of 4 shards',
    'connection',
    at('storage', amid(shardRead)),
    { kind: 'reset', side: 'answer', afterBytes: 500 },
    { times: 4 },
  ),
  suffers('Cloud Storage resets in the middle of a list', 'connection', at('storage', stagingList), {
    kind: 'reset',
    side: 'answer',
    afterBytes: 100,
  }),
  suffers('BigQuery resets after an insertion', 'connection', at('bigquery', jobInsertion), {
    kind: 'reset',
    side: 'answer',
  }),
];

const stalls: readonly Fault[] = [
  suffers('STS does not answer', 'stall', at('aws', roleAssumption), before),
  suffers('S3 stops taking a shard', 'stall', at('aws', amid(shardPut)), {
    kind: 'hold',
    side: 'request',
    afterBytes: 500,
  }),
  suffers('S3 does not answer about a schema', 'stall', at('aws', schemaPut), beforeAnswer),
  suffers('S3 does not answer about the receipt', 'stall', at('aws', receiptPut), beforeAnswer, {
    repeatsReceipt: true,
  }),
  suffers('Cloud Storage stops in the middle of a shard', 'stall', at('storage', amid(shardRead)), {
    kind: 'hold',
    side: 'answer',
    afterBytes: 500,
  }),
  suffers('Cloud Storage does not answer a list', 'stall', at('storage', stagingList), before),
  suffers('Cloud Storage does not answer about a staged schema', 'stall', at('storage', stagedSchemaWrite), before),
  suffers('Cloud Storage does not answer a deletion', 'stall', at('storage', stagedDelete), before),
  suffers('BigQuery does not answer about a table', 'stall', at('bigquery', tableRead), before),
  suffers('BigQuery does not answer about a job', 'stall', at('bigquery', jobRead), before),
];

const damages: readonly Fault[] = [
  suffers(
    'a byte of 4 shards is damaged on the way to S3',
    'damage',
    at('aws', amid(shardPut)),
    {
      kind: 'damage',
      side: 'request',
    },
    { times: 4 },
  ),
  suffers(
    'a byte of 4 shards is damaged on the way from Cloud Storage',
    'damage',
    at('storage', amid(shardRead)),
    {
      kind: 'damage',
      side: 'answer',
    },
    { times: 4 },
  ),
  suffers('a byte of the receipt is damaged on the way to S3', 'damage', at('aws', receiptPut), {
    kind: 'damage',
    side: 'request',
  }),
  suffers('a byte of a staged schema is damaged', 'damage', at('storage', schemaRead), {
    kind: 'damage',
    side: 'answer',
  }),
  suffers('half a list comes as 200', 'damage', at('storage', stagingList), told(garbage)),
  suffers('half an answer about a job comes as 200', 'damage', at('bigquery', jobRead), told(garbage)),
  suffers('half an answer about a table comes as 200', 'damage', at('bigquery', tableRead), told(garbage)),
];

export const faults: readonly Fault[] = [
  ...namedKills,
  ...restarts,
  ...outages,
  ...refusals,
  ...connections,
  ...stalls,
  ...damages,
];
