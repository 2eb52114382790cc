/** What was measured, for people. Pure. */
import { median } from '../copy/taken';
import { limits } from './history-size';
import type { HistoriesOfDump, MeasuredHistory } from './measured-history';
import type { Overhead } from './overhead';
import type { SmallDumps } from './small-dumps';
import type { Throughput } from './throughput';

export function historyTable(measured: readonly HistoriesOfDump[]): string {
  const rows = measured.flatMap(({ shardsPerTable, dump, destination, notice }) => {
    const dumpOf = `6 tables × ${count(shardsPerTable)} shards`;
    return [
      historyRow(`${dumpOf}: dump`, dump),
      historyRow('  its destination', destination),
      historyRow('  its notice', notice),
    ];
  });
  const limit = [
    'limit of Temporal',
    count(limits.events),
    '',
    kB(limits.historyBytes),
    '',
    kB(limits.payloadBytes),
    count(limits.pendingActivities),
    '',
  ];
  return table(
    [
      'history',
      'events',
      'at most',
      'KB by Temporal',
      'KB counted',
      'largest payload KB',
      'most pending activities',
      'workflow tasks',
    ],
    [...rows, limit],
  );
}

const historyRow = (name: string, size: MeasuredHistory): string[] => [
  name,
  count(size.events),
  count(size.eventsAtMost),
  kB(size.saidBytes),
  kB(size.bytes),
  kB(size.largestPayloadBytes),
  count(size.mostPendingActivities),
  count(size.workflowTasks),
];

export function overheadTable(byServices: Readonly<Record<string, SmallDumps>>): string {
  const medianOf = (dumps: SmallDumps, value: (overhead: Overhead) => number): string =>
    count(median(dumps.overheads.map(value)));
  const rows = Object.entries(byServices).map(([name, dumps]) => [
    name,
    String(dumps.overheads.length),
    medianOf(dumps, ({ wallMs }) => wallMs),
    medianOf(dumps, ({ serviceMs }) => serviceMs),
    medianOf(dumps, ({ overheadMs }) => overheadMs),
    `${count(Math.min(...dumps.overheads.map(({ overheadMs }) => overheadMs)))}–${count(Math.max(...dumps.overheads.map(({ overheadMs }) => overheadMs)))}`,
    medianOf(dumps, ({ parts }) => parts.polling),
    medianOf(dumps, ({ parts }) => parts.workflowTasks),
    medianOf(dumps, ({ parts }) => parts.dispatch),
    medianOf(dumps, ({ parts }) => parts.activities),
    medianOf(dumps, ({ receiptMs }) => receiptMs),
  ]);
  const headings = [
    'a small dump, ms',
    'dumps',
    'wall',
    'services',
    'overhead',
    'from–to',
    'polling',
    'workflow tasks',
    'dispatch',
    'activities',
    'until receipt',
  ];
  return table(headings, rows);
}

export function requestsLine(requests: Readonly<Record<string, number>>): string {
  const shown = Object.entries(requests)
    .filter(([, number]) => number >= 0.05)
    .toSorted(([, one], [, other]) => other - one);
  return shown.map(([name, number]) => `${name} ${number.toFixed(1)}`).join(', ');
}

export function throughputLines(
  {
    dumpsPerMinute,
    countedDumps,
    seconds,
    cores,
    eventLoopBusy,
    latenciesMs,
    lateReceipts,
    requestsPerDump,
  }: Throughput,
  machineCores: number,
): string {
  const others = Math.max(cores.all - cores.worker - cores.bench - (cores.server ?? 0), 0);
  const workerCpuMs = (cores.worker / dumpsPerMinute) * 60_000;
  return [
    `${count(dumpsPerMinute)} dumps a minute: ${count(countedDumps)} in ${seconds.toFixed(1)} s, every receipt held against its bucket, as many dumps completed by Temporal's count.`,
    `From a run's announcement to the receipt: median ${count(median(latenciesMs))} ms, longest ${count(latenciesMs.at(-1) ?? NaN)} ms. Receipts refused as too late: ${lateReceipts}.`,
    `Cores busy of ${machineCores}: worker ${cores.worker.toFixed(2)}, Temporal's server ${cores.server?.toFixed(2) ?? 'unknown'}, this bench ${cores.bench.toFixed(2)}, all others ${cores.server === undefined ? 'unknown' : others.toFixed(2)}. The worker's main thread was busy ${Math.round(100 * eventLoopBusy)} % of the time.`,
    `${bottleneck({ cores, eventLoopBusy }, machineCores)} A dump costs ${count(workerCpuMs)} ms of the worker's CPU: a core of its own would allow ${count(60_000 / workerCpuMs)} a minute.`,
    `Requests to Temporal a dump: ${requestsLine(requestsPerDump)}.`,
  ].join('\n');
}

/** Which resource is used up, so far as the machine tells. */
export function bottleneck(
  { cores, eventLoopBusy }: Pick<Throughput, 'cores' | 'eventLoopBusy'>,
  machineCores: number,
): string {
  if (eventLoopBusy > 0.9) return "It is bound by the worker's main thread.";
  if (cores.all > 0.9 * machineCores) {
    const larger = (cores.server ?? 0) > cores.worker ? "Temporal's server" : 'the worker';
    return `It is bound by the machine's CPU, of which ${larger} uses most.`;
  }
  return 'Neither the CPU nor the worker is used up: it waits for the server (its database) or for timers.';
}

function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = headings.map((heading, column) =>
    Math.max(heading.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  return [headings, ...rows]
    .map((row) =>
      row
        .map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

const count = (value: number): string => Math.round(value).toLocaleString('en-GB');
const kB = (bytes: number): string => (bytes / 1000).toLocaleString('en-GB', { maximumFractionDigits: 1 });
