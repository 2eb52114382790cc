import type { DumpEvent, DumpOutcome, FailureType, Fault, NoticeFault, NoticeSubject } from '../contract';

/** How a dump tells. Nothing of it may throw: a dump never fails for a notice. */
export interface Teller {
  readonly nowMs: () => number;
  readonly areOn: () => Promise<boolean>;
  /** Some seconds, in which more may go wrong that is told in the same notice. */
  readonly gather: () => Promise<void>;
  /** Returns as soon as the notice goes its own way, not when it has been taken. */
  readonly tell: (event: DumpEvent, atMs: number) => Promise<void>;
}

interface Untold {
  readonly fault: NoticeFault;
  readonly atMs: number;
}

/**
 * What of a dump is told, and when: what fails anew, once; that all of that has been mended; how the dump ends. In the
 * order in which it happened. Pure: the teller reaches the world.
 */
export class Notices {
  private readonly untold = new Map<string, Untold>();
  /** What has been told and not mended since. */
  private readonly told = new Map<string, FailureType>();
  private owesRecovery = false;
  private isGathering = false;
  private line: Promise<void> = Promise.resolve();

  constructor(private readonly teller: Teller) {}

  /** What fails again as it was told, as every hour's retry of the dump may, is no news. */
  needsAttention(subject: NoticeSubject, fault: Fault): void {
    const key = keyOf(subject);
    if (this.told.get(key) === fault.type) {
      this.untold.delete(key);
      return;
    }
    const before = this.untold.get(key);
    this.untold.set(key, { fault: { ...subject, ...fault }, atMs: before?.atMs ?? this.teller.nowMs() });
    if (before?.fault.type !== fault.type) void this.tellUntoldSoon();
  }

  /** The work has succeeded. Only when all that was told of has, the dump has recovered. */
  mended(subject: NoticeSubject): void {
    this.untold.delete(keyOf(subject));
    this.told.delete(keyOf(subject));
    if (!this.owesRecovery || this.told.size > 0 || this.untold.size > 0) return;
    this.owesRecovery = false;
    const atMs = this.teller.nowMs();
    void this.inLine(() => this.tellIfOn({ type: 'dump.recovered' }, atMs));
  }

  /** What nobody has been told of yet comes first. */
  ended(outcome: DumpOutcome): Promise<void> {
    const atMs = this.teller.nowMs();
    return this.inLine(async () => {
      if (!(await this.teller.areOn())) return;
      await this.tellUntold();
      await this.teller.tell(endingEvent(outcome), atMs);
    });
  }

  private async tellUntoldSoon(): Promise<void> {
    if (this.isGathering) return;
    this.isGathering = true;
    const areOn = await this.teller.areOn();
    if (areOn) await this.teller.gather();
    // Before anything is told: what comes later gathers anew.
    this.isGathering = false;
    if (areOn) await this.inLine(() => this.tellUntold());
  }

  private async tellUntold(): Promise<void> {
    const untold = [...this.untold.values()];
    if (untold.length === 0) return;
    for (const [key, { fault }] of this.untold) this.told.set(key, fault.type);
    this.untold.clear();
    this.owesRecovery = true;
    const atMs = Math.min(...untold.map((one) => one.atMs));
    await this.teller.tell({ type: 'dump.needs-attention', faults: untold.map(({ fault }) => fault) }, atMs);
  }

  private async tellIfOn(event: DumpEvent, atMs: number): Promise<void> {
    if (await this.teller.areOn()) await this.teller.tell(event, atMs);
  }

  private inLine(step: () => Promise<void>): Promise<void> {
    this.line = this.line.then(step);
    return this.line;
  }
}

const keyOf = (subject: NoticeSubject): string => JSON.stringify(subject);

function endingEvent(outcome: DumpOutcome): DumpEvent {
  if (outcome.outcome === 'delivered') {
    return { type: 'dump.delivered', receiptKey: outcome.receiptKey, total: outcome.total };
  }
  return { type: `dump.${outcome.outcome}`, reason: outcome.reason };
}
