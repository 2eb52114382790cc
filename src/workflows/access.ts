import { isCancellation, patched, sleep } from '@temporalio/workflow';
import type { AccessCheck, AccountId, AssumedRole, DestinationSettings } from '../contract';
import { accessPropagationMs, accessRecheckMs } from '../timing';
import { assumeCustomerRole, checkAccess } from './activity-proxies';
import { endingFailure, faultOf } from './faults';

/** The proof that a destination can be delivered to: when it is connected, and on request. */
export class Access {
  constructor(
    private readonly accountId: AccountId,
    private lastCheck: AccessCheck | undefined,
    private readonly changed: () => void,
  ) {}

  get last(): AccessCheck | undefined {
    return this.lastCheck;
  }

  get isRefused(): boolean {
    return this.lastCheck?.state === 'failed' && this.lastCheck.fault !== undefined;
  }

  /** Throws what is in the way. */
  async prove(settings: DestinationSettings): Promise<AssumedRole> {
    try {
      const proof = await this.provePatiently(settings);
      this.set({ state: 'passed', at: now() });
      return proof;
    } catch (error) {
      if (!isCancellation(error)) this.set(failed(error));
      throw error;
    }
  }

  async check(settings: DestinationSettings): Promise<AccessCheck> {
    try {
      await this.prove(settings);
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
        this.set({ state: 'checking', attempt, fault });
        await sleep(accessRecheckMs, { summary: 'a new role or policy takes seconds to take effect' });
      }
    }
  }

  private set(check: AccessCheck): void {
    this.lastCheck = check;
    this.changed();
  }
}

function failed(error: unknown): AccessCheck {
  const fault = faultOf(error);
  const { message: problem } = endingFailure(error);
  return { state: 'failed', at: now(), problem, ...(fault === undefined ? {} : { fault }) };
}

const now = (): string => new Date(Date.now()).toISOString();
