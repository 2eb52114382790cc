import type { AccessEvent, FailureType, Fault } from '../contract';

/** How a destination tells. Nothing of it may throw: a check never fails for a notice. */
export interface AccessTeller {
  readonly areOn: () => Promise<boolean>;
  /** Returns as soon as the notice goes its own way, not when it has been taken. */
  readonly tell: (event: AccessEvent) => Promise<void>;
}

/** What of a destination's access is told, and when: what refuses it, once, and that it is there again. Pure. */
export class AccessNotices {
  constructor(
    private readonly teller: AccessTeller,
    private refusal: FailureType | undefined,
  ) {}

  /** The refusal that was told, and has not been mended since. */
  get told(): FailureType | undefined {
    return this.refusal;
  }

  /** The same refusal day after day is no news, another one is. */
  async refused({ type, problem, mender, remedy }: Fault): Promise<void> {
    if (this.refusal === type || !(await this.teller.areOn())) return;
    this.refusal = type;
    await this.teller.tell({ type: 'destination.access-refused', fault: { type, problem, mender, remedy } });
  }

  /** To whoever was told of a refusal. */
  async restored(): Promise<void> {
    if (this.refusal === undefined) return;
    this.refusal = undefined;
    if (await this.teller.areOn()) await this.teller.tell({ type: 'destination.access-restored' });
  }
}
