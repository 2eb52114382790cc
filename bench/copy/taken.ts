/** What a copy took. */
export interface Taken {
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly peakRssBytes: number;
}

/** Of one of several processes. */
export interface CopierTaken extends Omit<Taken, 'seconds'> {
  /** Epoch milliseconds. */
  readonly startedMs: number;
  readonly endedMs: number;
}

export interface TakenInRound extends Taken {
  /** Of the two servers meanwhile; undefined where the system does not tell. */
  readonly serversCpuSeconds: number | undefined;
}

export interface Round {
  readonly ours: TakenInRound;
  readonly rclone: TakenInRound;
}

/** Ours ÷ rclone's, but for the memory. */
export interface Ratios {
  readonly throughput: number;
  readonly cpu: number;
  readonly peakRssMB: number;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const upper = sorted[Math.floor(sorted.length / 2)];
  const lower = sorted[Math.floor((sorted.length - 1) / 2)];
  if (upper === undefined || lower === undefined) throw new Error('There is no median of nothing.');
  return (upper + lower) / 2;
}

export function ratiosOf(rounds: readonly Round[]): Ratios {
  const ofBoth = (of: (taken: Taken) => number) =>
    [median(rounds.map(({ ours }) => of(ours))), median(rounds.map(({ rclone }) => of(rclone)))] as const;
  const [seconds, rcloneSeconds] = ofBoth((taken) => taken.seconds);
  const [cpu, rcloneCpu] = ofBoth((taken) => taken.cpuSeconds);
  return {
    throughput: rounded(rcloneSeconds / seconds),
    cpu: rounded(cpu / rcloneCpu),
    peakRssMB: Math.round(Math.max(...rounds.map(({ ours }) => ours.peakRssBytes)) / 1e6),
  };
}

const rounded = (value: number): number => Math.round(value * 100) / 100;
