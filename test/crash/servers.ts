/** Servers that are stopped and started again, or cannot be reached for a while. */
import type { ServerName } from '../../sandbox/sandbox';
import { anythingSince, at, type Fault, type Where } from './fault';
import type { Scene } from './scene';
import { jobRead, nth, receiptPut, shardPut, shardRead } from './traffic';

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

export const restarts: readonly Fault[] = [
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

export const outages: readonly Fault[] = [
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
