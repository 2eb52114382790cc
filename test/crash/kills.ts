/** Workers that are killed: at each step, and at moments that a seed draws. */
import type { Effect } from '../end-to-end/fault-proxy';
import { eventually } from '../eventually';
import { anythingSince, at, before, beforeAnswer, type Fault, type Where } from './fault';
import { shardsInFlightMax } from './scene';
import {
  jobInsertion,
  jobRead,
  nth,
  receiptPut,
  roleAssumption,
  schemaPut,
  schemaRead,
  shardPut,
  stagedDelete,
  tableRead,
} from './traffic';

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

const sigterm: Fault = {
  name: 'SIGTERM amid the shards, as in a rolling restart',
  kind: 'kill',
  // The worker is let finish them.
  shardsPutAgainMax: 0,
  async stage(scene) {
    await scene.requested('aws', nth(30, shardPut(scene)));
    return anythingSince(await scene.replaceWorker('SIGTERM'));
  },
};

/** Late in the first two ranges: of the shards that are done, Temporal can know only by heartbeats. */
const midShard: Fault = {
  name: 'killed mid-stream of a shard',
  kind: 'kill',
  async stage(scene) {
    const held = { kind: 'hold', side: 'request', afterBytes: 500 } as const;
    await scene.arm('aws', { matches: nth(14, shardPut(scene)), effect: held }).hit;
    await eventually(
      () => scene.shardsUntold(),
      ({ length }) => length <= shardsInFlightMax,
    );
    return anythingSince(await scene.replaceWorker());
  },
};

export const namedKills: readonly Fault[] = [
  killedWhile('while the role is assumed', at('aws', roleAssumption), beforeAnswer),
  killedWhile('after the role is assumed', at('bigquery', tableRead), before),
  killedWhile('after an extract job is inserted', at('bigquery', jobInsertion), beforeAnswer),
  killedWhile('while a job is running', at('bigquery', jobRead), { kind: 'hold answer like', like: /"RUNNING"/ }),
  killedWhile('after the first shard is put', at('aws', shardPut), beforeAnswer),
  midShard,
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
const randomKills = (number: number, delaysMs: readonly number[]): Fault => ({
  name: `random kills ${number}: after ${delaysMs.map((ms) => `${(ms / 1000).toFixed(1)} s`).join(', ')}`,
  kind: 'kill',
  mayComeTooLate: true,
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

const killsInADumpMax = 3;
/** A dump of the matrix takes about this long. */
const dumpMs = 6_000;
/** After a kill a dump waits until Temporal misses the worker: kills fall into that time too, and after it. */
const recoveryMs = 20_000;

export function drawRandomKills(kills: number, seed: number): Fault[] {
  const draw = mulberry32(seed);
  const found: Fault[] = [];
  for (let left = kills; left > 0;) {
    const count = Math.min(left, 1 + Math.floor(draw() * killsInADumpMax));
    left -= count;
    const delays = Array.from({ length: count }, (_, index) =>
      Math.floor(draw() * (index === 0 ? dumpMs : recoveryMs)),
    );
    found.push(randomKills(found.length + 1, delays));
  }
  return found;
}

/** A small generator of numbers from 0 to 1 whose whole state is its seed: the same seed draws the same everywhere. */
function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
