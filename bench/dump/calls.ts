/** What the services were asked, and how long each answer took: the part of a dump's time that is not ours. */
import { setTimeout } from 'node:timers/promises';
import { activityInfo } from '@temporalio/activity';

export type Service = 'BigQuery' | 'Cloud Storage' | 'STS' | 'S3';

/** Epoch milliseconds, with fractions. */
export interface Interval {
  readonly fromMs: number;
  readonly toMs: number;
}

/** One request of an activity, or an extract job that it waits for. */
export interface Call extends Interval {
  readonly workflowId: string;
  readonly activityId: string;
  readonly service: Service;
  /** `job`: from its insertion until it is done. It is the service that works then, whoever asks. */
  readonly what: 'request' | 'job';
}

export interface CallTotals {
  readonly requests: number;
  readonly seconds: number;
}

export class Calls {
  private readonly totals = new Map<Service, { requests: number; seconds: number }>();
  private readonly kept: Call[] = [];

  /** @param keepsAll absent, only the totals are kept */
  constructor(private readonly keepsAll: boolean) {}

  /** The service takes `takesMs` and then does `work`. */
  async request<T>(service: Service, takesMs: number, work: () => T | Promise<T>): Promise<T> {
    const fromMs = nowMs();
    try {
      if (takesMs > 0) await setTimeout(takesMs);
      return await work();
    } finally {
      this.add(service, 'request', { fromMs, toMs: nowMs() });
    }
  }

  job(service: Service, interval: Interval): void {
    this.add(service, 'job', interval);
  }

  of(workflowId: string): Call[] {
    return this.kept.filter((call) => call.workflowId === workflowId);
  }

  get totalsByService(): Record<string, CallTotals> {
    return Object.fromEntries(this.totals);
  }

  private add(service: Service, what: Call['what'], interval: Interval): void {
    if (what === 'request') {
      const total = this.totals.get(service) ?? { requests: 0, seconds: 0 };
      total.requests += 1;
      total.seconds += (interval.toMs - interval.fromMs) / 1000;
      this.totals.set(service, total);
    }
    if (!this.keepsAll) return;
    const { workflowExecution, activityId } = activityInfo();
    this.kept.push({ workflowId: workflowExecution?.workflowId ?? '', activityId, service, what, ...interval });
  }
}

/** Temporal's clock is this machine's; `Date.now()` has no fractions. */
export const nowMs = (): number => performance.timeOrigin + performance.now();
