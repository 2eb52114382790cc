/** One customer with one worker, on whom a fault is staged. */
import type { CustomerAccount } from '../../sandbox/aws';
import type { Running } from '../../sandbox/processes';
import { stagingBucket } from '../../sandbox/sandbox';
import type { DumpOutcome } from '../../src/contract';
import { parseAccountId, parseBucketName } from '../../src/dump/inputs';
import { heartbeatThrottleMs } from '../../src/timing';
import { dataset, type EndToEnd, type Proxies } from '../end-to-end/environment';
import type { Arming, Armed, Asked, Exchange } from '../end-to-end/fault-proxy';
import { shardsPutBy, toldShards } from '../end-to-end/told-shards';
import { eventually } from '../eventually';
import { pathOf, shardPut, type Matches, type Whose } from './traffic';

export const tables = ['companies', 'contacts', 'events'] as const;

/** All copies of the worker together. */
export const shardsInFlightMax = 2;

const workerSettings = {
  COPY_ACTIVITIES: '2',
  COPY_SHARDS_IN_FLIGHT: String(shardsInFlightMax),
  NODE_ENV: 'production',
};

/** A shard takes this long at the least, as one of a gigabyte would take longer: so some are always in flight. */
export const shardLatencyMs = 150;

/** A shard is in flight until Temporal has been told of it, which the worker may hold back for a moment. */
const toldWithinMs = 2 * heartbeatThrottleMs;

const outcomeTimeoutMs = 150_000;

export class Scene implements Whose {
  /**
   * How many shards were begun, and not told to Temporal, when something was killed, or were hit by a fault: so many may be
   * put again.
   */
  shardsHit = 0;
  private worker: Running | undefined;
  private readonly armed: Armed[] = [];
  private runs = 0;

  private constructor(
    readonly endToEnd: EndToEnd,
    readonly account: string,
    readonly bucket: string,
    readonly customer: CustomerAccount,
  ) {}

  /** A customer who is connected, and a worker that has nothing to do yet. */
  static async set(endToEnd: EndToEnd, name: string): Promise<Scene> {
    const accountId = parseAccountId(name);
    const bucket = parseBucketName(`${name}-data`);
    const customer = await endToEnd.sandbox.addCustomer(accountId, bucket, { roleName: name, region: 'us-east-1' });
    const scene = new Scene(endToEnd, name, bucket, customer);
    scene.proxies.aws.latencyMs = (asked) => (asked.path.includes('.ndjson.gz') ? shardLatencyMs : 0);
    await scene.startWorker();
    await endToEnd.destinations.connect(accountId, { roleArn: customer.roleArn, bucket, tables });
    return scene;
  }

  get proxies(): Proxies {
    return this.endToEnd.proxies;
  }

  /** Says that a run has succeeded. Returns its id. */
  async announceRun(): Promise<string> {
    const runId = `run-${++this.runs}`;
    await this.endToEnd.destinations.modellingRunSucceeded(this.account, { runId, finishedAt: new Date(), dataset });
    return runId;
  }

  async outcomeOf(runId: string): Promise<DumpOutcome> {
    const { destinations } = this.endToEnd;
    try {
      return await this.endToEnd.ended(this.account, runId, outcomeTimeoutMs);
    } catch (cause) {
      const { dump } = await destinations.status(this.account);
      const why = dump === undefined ? 'no dump is at work' : `${dump.state}: ${dump.retrying.join('; ')}`;
      throw new Error(`${runId} had no outcome after ${outcomeTimeoutMs / 1000} s: ${why}`, { cause });
    }
  }

  /** When Temporal closed a run's dump, epoch milliseconds. */
  async closedAtMs(runId: string): Promise<number> {
    const { folder } = await this.outcomeOf(runId);
    const { closeTime } = await this.endToEnd.client.workflow.getHandle(`dump/${this.account}/${folder}`).describe();
    return Number(closeTime);
  }

  arm(proxy: keyof Proxies, arming: Arming): Armed {
    const armed = this.proxies[proxy].arm(arming);
    this.armed.push(armed);
    return armed;
  }

  /** Waits for a request, without doing anything to it. */
  async requested(proxy: keyof Proxies, matches: Matches): Promise<void> {
    const armed = this.arm(proxy, { matches, effect: { kind: 'hold', side: 'request' } });
    await armed.hit;
    armed.release();
  }

  /** Waits until the service has answered a request that was held. */
  async answered(proxy: keyof Proxies, asked: Asked): Promise<void> {
    const { exchanges } = this.proxies[proxy];
    const isAnswered = (): boolean => exchanges.some((exchange) => exchange.asked === asked && exchange.recorded);
    await eventually(async () => isAnswered(), Boolean);
  }

  /** As a lifecycle rule would that is too short. */
  async deleteLastStaged(): Promise<void> {
    const { storage } = this.endToEnd.sandbox;
    const [files] = await storage.bucket(stagingBucket).getFiles({ prefix: `${this.account}/` });
    await files.findLast(({ name }) => name.endsWith('.ndjson.gz'))?.delete();
  }

  async startWorker(): Promise<void> {
    this.worker = await this.endToEnd.startWorker(workerSettings);
  }

  /** Returns when it was gone, epoch milliseconds. */
  async killWorker(signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): Promise<number> {
    this.worker?.kill(signal);
    await this.worker?.exited;
    this.worker = undefined;
    const goneAtMs = Date.now();
    this.shardsHit += (await this.shardsUntold()).length;
    return goneAtMs;
  }

  /** Kills the worker and starts another. */
  async replaceWorker(signal?: 'SIGKILL' | 'SIGTERM'): Promise<number> {
    const killedAtMs = await this.killWorker(signal);
    this.releaseAll();
    await this.startWorker();
    return killedAtMs;
  }

  /** Shards of the dump at work whose puts have begun, and of which Temporal does not know that they are done. */
  async shardsUntold(): Promise<string[]> {
    const { client } = this.endToEnd;
    const { raw } = await client.workflow.getHandle(`destination/${this.account}`).describe();
    const dumpIds = (raw.pendingChildren ?? []).flatMap(({ workflowId }) => workflowId ?? []);
    const untold = dumpIds.map(async (dumpId) => {
      const told = await toldShards(client, dumpId);
      const folder = dumpId.split('/').at(-1) ?? '';
      const puts = this.proxies.aws.exchanges
        .map(({ asked }) => asked)
        .filter((asked) => shardPut(this)(asked) && pathOf(asked).includes(`/${folder}/`));
      return [...new Set(shardsPutBy(puts))].filter((shard) => !told.has(shard));
    });
    return (await Promise.all(untold)).flat();
  }

  /** Shards that were being put at some time between, or of which Temporal could not know yet. */
  shardsInFlight(fromMs: number, untilMs = fromMs): number {
    const matches = shardPut(this);
    const isOpen = ({ asked, closedAtMs = Infinity }: Exchange): boolean =>
      matches(asked) && asked.beganAtMs <= untilMs && closedAtMs >= fromMs - toldWithinMs;
    return this.proxies.aws.exchanges.filter(isOpen).length;
  }

  /** Everything on the way passes, and nothing more is done to requests. */
  releaseAll(): void {
    for (const armed of this.armed.splice(0)) armed.release();
  }

  /** Also after a dump that did not end: the next scene must not inherit it. */
  async strike(): Promise<void> {
    this.releaseAll();
    const { workflow } = this.endToEnd.client;
    for await (const { workflowId, status } of workflow.list()) {
      const isOurs = workflowId === `destination/${this.account}` || workflowId.startsWith(`dump/${this.account}/`);
      if (isOurs && status.name === 'RUNNING') await workflow.getHandle(workflowId).terminate('the scene is over');
    }
    await this.killWorker();
  }
}
