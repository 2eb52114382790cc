import { ApplicationFailure, isCancellation, patched, sleep } from '@temporalio/workflow';
import type { AccessCheck, AccountId, AssumedRole, DestinationSettings } from '../contract';
import { accessPropagationMs, accessRecheckMs } from '../timing';
import type { AccessNotices } from './access-notices';
import { assumeCustomerRole, checkAccess } from './activity-proxies';
import { endingFailure, faultOf } from './faults';

/** The proof that a destination can be delivered to: when it is connected, on request, and each day. One at a time. */
export class Access {
  /** What the one that is going on says so far, where that takes nothing away from the last. */
  private soFar: AccessCheck | undefined;
  private pendingTurns = 0;
  /** Those that are still to come to a verdict. */
  private pendingWatches = 0;
  private lastTurn: Promise<void> = Promise.resolve();

  constructor(
    private readonly accountId: AccountId,
    private readonly inForce: () => DestinationSettings | undefined,
    private lastCheck: AccessCheck | undefined,
    private readonly notices: AccessNotices,
    private readonly changed: () => void,
  ) {}

  get last(): AccessCheck | undefined {
    return this.lastCheck;
  }

  /** For people. */
  get shown(): AccessCheck | undefined {
    return this.soFar ?? this.lastCheck;
  }

  get isRefused(): boolean {
    return this.lastCheck?.state === 'failed' && this.lastCheck.fault !== undefined;
  }

  /** Of settings that are to come into force. Throws what is in the way. */
  prove(settings: DestinationSettings): Promise<AssumedRole> {
    return this.inTurn(() => this.proveNow(settings));
  }

  /** Of the settings in force, for who reads what it says. */
  check(): Promise<AccessCheck> {
    return this.inTurn(async () => {
      const settings = this.inForce();
      if (settings === undefined) {
        throw ApplicationFailure.nonRetryable('There is no connected bucket', 'NotConnected');
      }
      return this.checkNow(settings);
    });
  }

  /**
   * Of the settings that are in force when its turn comes, if any. Nobody waits for what it says: a refusal is told. Left
   * out where another is still to come to its verdict. A proof, and a check for who reads it, tell nobody.
   */
  async watch(): Promise<void> {
    if (this.pendingTurns > 0 && (this.pendingWatches > 0 || !patched('watch-in-turn'))) return;
    this.pendingWatches += 1;
    await this.inTurn(async () => {
      const settings = this.inForce();
      let check: AccessCheck | undefined;
      try {
        if (settings !== undefined) check = await this.checkNow(settings);
      } finally {
        this.pendingWatches -= 1;
      }
      if (check?.state === 'failed' && check.fault !== undefined) await this.notices.refused(check.fault);
    });
  }

  /** Two side by side would each take the other's refusals for theirs. Those that older code let run so replay so. */
  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const waits = this.pendingTurns > 0 && patched('access-in-turn');
    const turn = waits ? this.lastTurn.then(work) : work();
    this.pendingTurns += 1;
    const over = (): void => void (this.pendingTurns -= 1);
    this.lastTurn = turn.then(over, over);
    return turn;
  }

  private async proveNow(settings: DestinationSettings): Promise<AssumedRole> {
    try {
      const proof = await this.provePatiently(settings);
      this.set(settings, { state: 'passed', at: now() });
      if (this.notices.told !== undefined) await this.notices.restored();
      return proof;
    } catch (error) {
      if (!isCancellation(error)) this.set(settings, failed(error));
      throw error;
    }
  }

  private async checkNow(settings: DestinationSettings): Promise<AccessCheck> {
    try {
      await this.proveNow(settings);
      return { state: 'passed', at: now() };
    } catch (error) {
      if (isCancellation(error)) throw error;
      return failed(error);
    }
  }

  /** What the customer must mend is believed only after a while: a new role or policy takes seconds to take effect. */
  private async provePatiently(settings: DestinationSettings): Promise<AssumedRole> {
    if (!patched('check-access')) return assumeCustomerRole(this.accountId, { settings });
    const believeAtMs = Date.now() + accessPropagationMs;
    for (let attempt = 1; ; attempt++) {
      try {
        return await checkAccess(this.accountId, { settings });
      } catch (error) {
        const fault = faultOf(error);
        if (fault?.mender !== 'customer' || Date.now() >= believeAtMs) throw error;
        this.set(settings, { state: 'checking', attempt, fault });
        await sleep(accessRecheckMs, { summary: 'a new role or policy takes seconds to take effect' });
      }
    }
  }

  /**
   * What is known of the settings in force stands until they are proven, or refused anew: a network fault proves nothing,
   * and other settings that are refused do not come into force.
   */
  private set(settings: DestinationSettings, check: AccessCheck): void {
    const provesNothing = this.areOthers(settings) ? check.state !== 'passed' : this.isRefused && !isVerdict(check);
    if (provesNothing && patched('verdict-stands')) {
      this.soFar = check.state === 'checking' ? check : undefined;
    } else {
      this.soFar = undefined;
      this.lastCheck = check;
    }
    this.changed();
  }

  private areOthers(settings: DestinationSettings): boolean {
    const inForce = this.inForce();
    return inForce !== undefined && JSON.stringify(settings) !== JSON.stringify(inForce);
  }
}

const isVerdict = (check: AccessCheck): boolean =>
  check.state === 'passed' || (check.state === 'failed' && check.fault !== undefined);

function failed(error: unknown): AccessCheck {
  const fault = faultOf(error);
  const { message: problem } = endingFailure(error);
  return { state: 'failed', at: now(), problem, ...(fault === undefined ? {} : { fault }) };
}

const now = (): string => new Date(Date.now()).toISOString();
