/**
 * Many customers' dumps on one worker, so many at a time: when one's receipt is written the next customer's run is
 * announced. A destination delivers at most one dump a minute, so each customer is used once.
 */
import os from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { inLanes } from '../../src/dump/lanes';
import { announceRun, connect, customer, requireTrue } from './customers';
import type { TemporalScene, WorkerProcess } from './scene';
import { atOnce } from './services';
import type { WorkerReport } from './worker-messages';

export interface ThroughputOptions {
  readonly dumps: number;
  readonly inFlight: number;
  readonly jobSeconds: number;
  readonly profileFolder: string | undefined;
}

/** Of the time in which all were at work: without the first and the last dumps, as many as there are in flight. */
export interface Throughput {
  readonly dumpsPerMinute: number;
  readonly countedDumps: number;
  readonly seconds: number;
  /** Cores that were busy meanwhile. Undefined where the system does not tell. */
  readonly cores: {
    readonly worker: number;
    readonly server: number | undefined;
    readonly bench: number;
    /** All of the machine's, whoever used them. */
    readonly all: number;
  };
  /** Of the worker's main thread: how much of the time it was not idle. */
  readonly eventLoopBusy: number;
  readonly requestsPerDump: Readonly<Record<string, number>>;
  /** From a run's announcement to the receipt, milliseconds, in order. */
  readonly latenciesMs: readonly number[];
  readonly lateReceipts: number;
}

export async function measureThroughput(
  scene: TemporalScene,
  { dumps, inFlight, jobSeconds, profileFolder }: ThroughputOptions,
  say: (line: string) => void,
): Promise<Throughput> {
  const jobMs = jobSeconds * 1000;
  const times = { ...atOnce, extractJobMs: { shortest: jobMs, longest: jobMs } };
  const services = { shardsPerTable: 1, times, notices: false, keepsCalls: false };
  return scene.withWorker(services, profileFolder, async (worker) => {
    const { destinations } = scene;
    const customers = Array.from({ length: dumps }, (_, number) => customer('throughput', number));
    say(`Connecting ${dumps} customers …`);
    await inLanes(customers, connectionsSideBySide, async (accountId) => void (await connect(destinations, accountId)));

    const announcedMs = new Map<string, number>();
    const latenciesMs: number[] = [];
    const used: Used[] = [];
    const marks = [inFlight, dumps - inFlight];
    const waiting = customers[Symbol.iterator]();
    const { promise: done, resolve, reject } = Promise.withResolvers<void>();
    const announceNext = async (): Promise<void> => {
      const next = waiting.next();
      if (next.done === true) return;
      announcedMs.set(next.value, performance.now());
      await announceRun(destinations, next.value);
    };
    let receipts = 0;
    const deafen = worker.onReceipt((receipt) => {
      try {
        requireTrue(receipt);
        receipts += 1;
        latenciesMs.push(performance.now() - (announcedMs.get(receipt.accountId) ?? NaN));
        if (marks.includes(receipts)) void use(scene, worker).then((now) => used.push(now), reject);
        if (receipts % 50 === 0) say(`${receipts} of ${dumps} dumps are delivered.`);
        if (receipts === dumps) resolve();
        announceNext().catch(reject);
      } catch (error) {
        reject(error);
      }
    });
    try {
      await Promise.all(Array.from({ length: inFlight }, announceNext));
      await Promise.race([done, worker.orItsEnd()]);
    } finally {
      deafen();
    }
    await untilClosed(scene, dumps);
    const [from, to] = used;
    if (from === undefined || to === undefined) throw new Error('The dumps that are to be counted were not marked.');
    return { ...between(from, to, dumps - 2 * inFlight), latenciesMs: latenciesMs.toSorted((a, b) => a - b) };
  });
}

const connectionsSideBySide = 16;

interface Used {
  readonly atMs: number;
  readonly worker: WorkerReport;
  readonly serverCpuSeconds: number | undefined;
  readonly benchCpuSeconds: number;
  readonly allCpuSeconds: number;
}

async function use(scene: TemporalScene, worker: WorkerProcess): Promise<Used> {
  const atMs = performance.now();
  const { user, system } = process.cpuUsage();
  const busy = os.cpus().map(({ times }) => times.user + times.nice + times.sys + times.irq);
  const serverCpuSeconds = scene.serverCpuSeconds();
  return {
    atMs,
    serverCpuSeconds,
    benchCpuSeconds: (user + system) / 1e6,
    allCpuSeconds: busy.reduce((sum, ms) => sum + ms, 0) / 1000,
    worker: await worker.report(),
  };
}

function between(from: Used, to: Used, countedDumps: number): Omit<Throughput, 'latenciesMs'> {
  const seconds = (to.atMs - from.atMs) / 1000;
  const active = to.worker.eventLoop.active - from.worker.eventLoop.active;
  const idle = to.worker.eventLoop.idle - from.worker.eventLoop.idle;
  return {
    dumpsPerMinute: (60 * countedDumps) / seconds,
    countedDumps,
    seconds,
    cores: {
      worker: (to.worker.cpuSeconds - from.worker.cpuSeconds) / seconds,
      server:
        to.serverCpuSeconds === undefined || from.serverCpuSeconds === undefined
          ? undefined
          : (to.serverCpuSeconds - from.serverCpuSeconds) / seconds,
      bench: (to.benchCpuSeconds - from.benchCpuSeconds) / seconds,
      all: (to.allCpuSeconds - from.allCpuSeconds) / seconds,
    },
    eventLoopBusy: active / (active + idle),
    requestsPerDump: Object.fromEntries(
      Object.entries(to.worker.requestsByOperation).map(([name, count]) => [
        name,
        (count - (from.worker.requestsByOperation[name] ?? 0)) / countedDumps,
      ]),
    ),
    lateReceipts: to.worker.lateReceipts,
  };
}

/** Temporal's own count, which is a moment behind. @throws Error where it is not that of the receipts */
async function untilClosed({ client }: TemporalScene, dumps: number): Promise<void> {
  const count = async (status: string): Promise<number> => {
    const ofThroughput = `WorkflowType = 'dump' AND ExecutionStatus = '${status}' AND WorkflowId STARTS_WITH 'dump/${customer('throughput', 0).slice(0, -1)}'`;
    return (await client.workflow.count(ofThroughput)).count;
  };
  const giveUpAtMs = Date.now() + 30_000;
  while ((await count('Completed')) !== dumps) {
    if (Date.now() > giveUpAtMs) {
      throw new Error(`${dumps} receipts were written, and ${await count('Completed')} dumps have completed.`);
    }
    await delay(200);
  }
}
