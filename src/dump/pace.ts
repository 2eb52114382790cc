/** Lets bytes pass at a bandwidth that all who ask share, in the order in which they come. */
export class Pace {
  private freeAtMs = 0;

  constructor(
    private readonly bytesPerSecond: number,
    private readonly nowMs: () => number = () => performance.now(),
  ) {}

  /** How long `bytes` have to wait before they pass: until those have had their time that were asked about before. */
  waitMs(bytes: number): number {
    const nowMs = this.nowMs();
    const passAtMs = Math.max(this.freeAtMs, nowMs);
    this.freeAtMs = passAtMs + (bytes / this.bytesPerSecond) * 1000;
    return passAtMs - nowMs;
  }
}
