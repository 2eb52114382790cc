/** Stages faults, one after the other in each of some sandboxes, and finds out what came of each. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { compiled } from '../../sandbox/processes';
import { EndToEnd } from '../end-to-end/environment';
import type { FaultProxy } from '../end-to-end/fault-proxy';
import type { Fault, Over } from './fault';
import { checkInvariant, type Findings } from './invariant';
import { Scene } from './scene';

export interface Row extends Findings {
  readonly fault: Fault;
  /** At the kill, or hit by the fault. */
  readonly shardsInFlight: number;
  /** From the kill, or the fault's end, until work went on. Absent if it did not. */
  readonly secondsToProgress: number | undefined;
  readonly secondsToDelivery: number | undefined;
}

/** A fault that is not hit by then was not staged. */
const stageTimeoutMs = 300_000;

export async function runMatrix(
  faults: readonly Fault[],
  { sandboxes, onRow }: { readonly sandboxes: number; readonly onRow: (row: Row) => void },
): Promise<Row[]> {
  // Production's way: a worker that loads a bundle is up in a second.
  await promisify(execFile)(process.execPath, [compiled('src', 'workflow-bundle.js')]);
  const waiting = [...faults.entries()];
  const rows: Row[] = [];
  const lane = async (): Promise<void> => {
    const endToEnd = await EndToEnd.start({ scale: 0.05, shardRows: 60 });
    try {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        const [number, fault] = next;
        const row = await runFault(endToEnd, fault, number);
        rows[number] = row;
        onRow(row);
      }
    } finally {
      await endToEnd.stop();
    }
  };
  await Promise.all(Array.from({ length: Math.min(sandboxes, faults.length) }, lane));
  return rows;
}

async function runFault(endToEnd: EndToEnd, fault: Fault, number: number): Promise<Row> {
  let scene: Scene | undefined;
  try {
    scene = await Scene.set(endToEnd, `crash${number}`);
    const [over] = await Promise.all([withinTime(fault.stage(scene)), scene.announceRun()]);
    const deliveredAtMs = await scene.closedAtMs(over.runId ?? 'run-1');
    const findings = await checkInvariant(scene, fault);
    const seconds = secondsToProgress(endToEnd, over);
    const hadNoEffect = seconds === undefined && fault.mayComeTooLate !== true;
    return {
      ...findings,
      broken: hadNoEffect ? [...findings.broken, 'nothing was done after the fault'] : findings.broken,
      fault,
      shardsInFlight: scene.shardsHit,
      secondsToProgress: seconds,
      secondsToDelivery: deliveredAtMs > over.atMs ? (deliveredAtMs - over.atMs) / 1000 : undefined,
    };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    const nothing = { shards: 0, shardsPutAgain: 0, secondsToProgress: undefined, secondsToDelivery: undefined };
    return { ...nothing, broken: [why], fault, shardsInFlight: scene?.shardsHit ?? 0 };
  } finally {
    await scene?.strike();
  }
}

async function withinTime(staged: Promise<Over>): Promise<Over> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error('the fault was not hit')), stageTimeoutMs);
  });
  return Promise.race([staged, late]).finally(() => clearTimeout(timer));
}

function secondsToProgress({ proxies }: EndToEnd, { atMs, isProgress }: Over): number | undefined {
  const progress = Object.values(proxies)
    .flatMap(({ recorded }: FaultProxy) => recorded.filter(isProgress))
    .map(({ endedAtMs }) => endedAtMs);
  return progress.length === 0 ? undefined : (Math.min(...progress) - atMs) / 1000;
}
