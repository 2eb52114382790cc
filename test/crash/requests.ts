/** Single requests that go wrong: refused, cut off, left unanswered, damaged. */
import type { Answer, Effect } from '../end-to-end/fault-proxy';
import { at, before, beforeAnswer, sameSince, type Fault, type Where } from './fault';
import type { Scene } from './scene';
import {
  fromNth,
  garbage,
  googleError,
  jobInsertion,
  jobRead,
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
    scene.shardsHit += armed.hits.filter((hit) => shardPut(scene)(hit) || shardRead(scene)(hit)).length;
    return sameSince(Date.now(), last);
  },
});

const told = (answer: Answer): Effect => ({ kind: 'answer', after: 'nothing', answer });
const toldAfterwards = (answer: Answer): Effect => ({ kind: 'answer', after: 'the service', answer });

const slowDown = s3Error(503, 'SlowDown', 'Please reduce your request rate.');
const internalError = s3Error(500, 'InternalError', 'We encountered an internal error. Please try again.');
const backendError = googleError(503, 'backendError', 'Backend Error');
const amid = (matches: (scene: Scene) => Matches) => (scene: Scene) => fromNth(10, matches(scene));

export const refusals: readonly Fault[] = [
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

export const connections: readonly Fault[] = [
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

export const stalls: readonly Fault[] = [
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

export const damages: readonly Fault[] = [
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
