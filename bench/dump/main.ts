/** `npm run bench:dump`: what orchestration costs, on a real Temporal server, with services in memory that cost nothing. */
import os from 'node:os';
import { runToEnd } from '../../sandbox/arguments';
import { median } from '../copy/taken';
import { measureHistories, type HistoriesOfDump } from './measured-history';
import { readOptions, usage, type BenchOptions } from './options';
import { TemporalScene } from './scene';
import { asInTheClouds, atOnce, type ServiceTimes } from './services';
import { measureSmallDumps, type SmallDumps } from './small-dumps';
import { historyTable, overheadTable, requestsLine, throughputLines } from './table';
import { measureThroughput } from './throughput';

/** The last line. Only what was measured is in it. */
interface Results {
  events6x1?: number;
  events6x10000?: number;
  historyKB6x10000?: number;
  overheadMs?: number;
  dumpsPerMinute?: number;
}

async function bench(options: BenchOptions): Promise<Results> {
  say('Starting Temporal …');
  const scene = await TemporalScene.start(say);
  try {
    return {
      ...(options.parts.includes('history') ? await history(scene, options) : {}),
      ...(options.parts.includes('overhead') ? await overhead(scene, options) : {}),
      ...(options.parts.includes('throughput') ? await throughput(scene, options) : {}),
    };
  } finally {
    await scene.stop();
  }
}

async function history(scene: TemporalScene, { profileFolder }: BenchOptions): Promise<Results> {
  const measure = async (shardsPerTable: number): Promise<HistoriesOfDump> => {
    say(`A dump of 6 tables × ${shardsPerTable} shards …`);
    const measured = await measureHistories(scene, shardsPerTable, profileFolder);
    say(`It was delivered in ${measured.seconds.toFixed(1)} s.`);
    return measured;
  };
  const [small, large] = [await measure(1), await measure(10_000)];
  console.log(`\n${historyTable([small, large])}`);
  return {
    events6x1: small.dump.events,
    events6x10000: large.dump.events,
    historyKB6x10000: Math.round(large.dump.saidBytes / 1000),
  };
}

async function overhead(scene: TemporalScene, { quick, smallDumps, profileFolder }: BenchOptions): Promise<Results> {
  const measure = (services: string, name: string, times: ServiceTimes): Promise<SmallDumps> => {
    say(`${smallDumps} small dumps, ${services} …`);
    return measureSmallDumps(scene, name, times, smallDumps, profileFolder);
  };
  const slow = await measure('services take their time', 'slow', asInTheClouds);
  const fast = quick ? undefined : await measure('services answer at once', 'fast', atOnce);
  console.log(`
${overheadTable({ 'services take their time': slow, ...(fast === undefined ? {} : { 'services answer at once': fast }) })}
Medians. Overhead is a dump's time by Temporal's clock, less the time in which a request or extract job of its critical path was
under way: the steps for all tables, and of the tables, which go side by side, the one that was ready last.
Requests to Temporal a dump: ${requestsLine(slow.requestsByOperation)}.`);
  return { overheadMs: Math.round(median(slow.overheads.map(({ overheadMs }) => overheadMs))) };
}

async function throughput(scene: TemporalScene, options: BenchOptions): Promise<Results> {
  const measured = await measureThroughput(scene, options, say);
  console.log(`\n${throughputLines(measured, os.availableParallelism())}`);
  return { dumpsPerMinute: Math.round(measured.dumpsPerMinute) };
}

/** Progress: not part of what is found. */
function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2));
  if (options === 'help') {
    console.log(usage);
    return;
  }
  const results = await bench(options);
  console.log(`\n${JSON.stringify(results)}`);
}

runToEnd(main);
