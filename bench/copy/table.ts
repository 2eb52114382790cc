import { caseBytes, type Case } from './cases';
import { median, type Round, type TakenInRound } from './taken';

const columns = [
  '',
  'MB/s',
  'CPU-s/GB',
  'peak RSS MB',
  'servers CPU-s/GB',
  'cores busy',
  'of what servers allow',
] as const;
const widths = [20, 6, 10, 12, 17, 11, 22];

export const headOfTable = (): string => line(columns);

export function rowsOfTable(transport: string, what: Case, rounds: readonly Round[], cores: number): string {
  const bytes = caseBytes(what);
  const ours = figuresOf(
    bytes,
    rounds.map((round) => round.ours),
  );
  const rclone = figuresOf(
    bytes,
    rounds.map((round) => round.rclone),
  );
  const ratios = (['MBps', 'cpuPerGB', 'peakMB'] as const).map((figure) => (ours[figure] / rclone[figure]).toFixed(2));
  return [
    rowOf(`${transport} ${what.name}: ours`, ours, cores),
    rowOf('  rclone', rclone, cores),
    line(['  ours ÷ rclone', ...ratios]),
  ].join('\n');
}

interface Figures {
  readonly MBps: number;
  readonly cpuPerGB: number;
  readonly peakMB: number;
  readonly serversPerGB: number | undefined;
  /** By the copy and the two servers together. */
  readonly coresBusy: number | undefined;
}

/** Medians; of the memory the most. */
function figuresOf(bytes: number, taken: readonly TakenInRound[]): Figures {
  const gigabytes = bytes / 1e9;
  const ofServers = taken.flatMap(({ serversCpuSeconds }) => serversCpuSeconds ?? []);
  const busy = taken.flatMap(({ seconds, cpuSeconds, serversCpuSeconds }) =>
    serversCpuSeconds === undefined ? [] : (cpuSeconds + serversCpuSeconds) / seconds,
  );
  return {
    MBps: (1000 * gigabytes) / median(taken.map(({ seconds }) => seconds)),
    cpuPerGB: median(taken.map(({ cpuSeconds }) => cpuSeconds)) / gigabytes,
    peakMB: Math.max(...taken.map(({ peakRssBytes }) => peakRssBytes)) / 1e6,
    serversPerGB: ofServers.length === 0 ? undefined : median(ofServers) / gigabytes,
    coresBusy: busy.length === 0 ? undefined : median(busy),
  };
}

function rowOf(name: string, { MBps, cpuPerGB, peakMB, serversPerGB, coresBusy }: Figures, cores: number): string {
  // The servers alone, with a client that costs nothing, could at most fill all the cores.
  const share = serversPerGB === undefined ? 'unknown' : `${Math.round((MBps * serversPerGB) / cores / 10)} %`;
  return line([
    name,
    MBps.toFixed(0),
    cpuPerGB.toFixed(2),
    peakMB.toFixed(0),
    serversPerGB?.toFixed(2) ?? 'unknown',
    coresBusy?.toFixed(2) ?? 'unknown',
    share,
  ]);
}

const line = (cells: readonly string[]): string =>
  cells
    .map((cell, index) => (index === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[index] ?? 0)))
    .join(' ')
    .trimEnd();
