/** Lets bytes pass at a bandwidth that all who spend of it share, in the order in which they come. */
export class Pace {
  private freeAtMs = 0;

  constructor(
    private readonly bytesPerSecond: number,
    private readonly nowMs: () => number = () => performance.now(),
  ) {}

  /** How long whoever has just passed `bytes` has to wait before the next. */
  spend(bytes: number): number {
    const nowMs = this.nowMs();
    this.freeAtMs = Math.max(this.freeAtMs, nowMs) + (bytes / this.bytesPerSecond) * 1000;
    return this.freeAtMs - nowMs;
  }
}
