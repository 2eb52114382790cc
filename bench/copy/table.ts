import { caseBytes, type Case } from './cases';
import { median, type Round, type Taken } from './taken';

const columns = ['', 'MB/s', 'CPU-s/GB', 'peak RSS MB', 'servers CPU-s/GB', 'of what servers allow'];
const widths = [24, 8, 10, 12, 17, 22];

export const headOfTable = (): string => line(columns);

export function rowsOfTable(transport: string, what: Case, rounds: readonly Round[], cores: number): string {
  const bytes = caseBytes(what);
  const ours = rounds.map((round) => round.ours);
  const rclone = rounds.map((round) => round.rclone);
  const servers = rounds.flatMap((round) => round.oursServersCpuSeconds ?? []);
  const serversPerGB = servers.length === 0 ? undefined : median(servers) / (bytes / 1e9);
  // The servers alone, with a client that costs nothing, could at most fill all the cores.
  const allowedMBps = serversPerGB === undefined ? undefined : (cores / serversPerGB) * 1000;
  const [oursMBps, rcloneMBps] = [megabytesPerSecond(bytes, ours), megabytesPerSecond(bytes, rclone)];
  const [oursCpu, rcloneCpu] = [cpuPerGB(bytes, ours), cpuPerGB(bytes, rclone)];
  const [oursRss, rcloneRss] = [peakMB(ours), peakMB(rclone)];
  const share = allowedMBps === undefined ? 'unknown' : `${Math.round((100 * oursMBps) / allowedMBps)} %`;
  return [
    line([
      `${transport} ${what.name}: ours`,
      oursMBps.toFixed(0),
      oursCpu.toFixed(2),
      oursRss.toFixed(0),
      serversPerGB?.toFixed(2) ?? 'unknown',
      share,
    ]),
    line(['  rclone', rcloneMBps.toFixed(0), rcloneCpu.toFixed(2), rcloneRss.toFixed(0), '', '']),
    line([
      '  ours ÷ rclone',
      (oursMBps / rcloneMBps).toFixed(2),
      (oursCpu / rcloneCpu).toFixed(2),
      (oursRss / rcloneRss).toFixed(2),
      '',
      '',
    ]),
  ].join('\n');
}

const megabytesPerSecond = (bytes: number, taken: readonly Taken[]): number =>
  bytes / 1e6 / median(taken.map(({ seconds }) => seconds));
const cpuPerGB = (bytes: number, taken: readonly Taken[]): number =>
  median(taken.map(({ cpuSeconds }) => cpuSeconds)) / (bytes / 1e9);
const peakMB = (taken: readonly Taken[]): number => Math.max(...taken.map(({ peakRssBytes }) => peakRssBytes)) / 1e6;

const line = (cells: readonly string[]): string =>
  cells
    .map((cell, index) => (index === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[index] ?? 0)))
    .join(' ')
    .trimEnd();
