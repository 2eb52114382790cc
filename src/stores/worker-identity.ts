import { lacksIdentity, workerIdentityFailure } from '../failures';
import { workerIdentityForgetMs } from '../timing';

/** Whom AWS takes this worker for: the identity with which the chain of roles begins. */
export class WorkerIdentity {
  private lacking: { readonly sinceMs: number; readonly lastMs: number } | undefined;

  constructor(
    private readonly askArn: () => Promise<string>,
    private readonly vendorRoleArn: string,
  ) {}

  /**
   * @throws ApplicationFailure `VendorRoleNotAssumable` where AWS does not know the worker's credentials, or where it has
   * had no valid ones for a while; until then a retryable one.
   */
  async arn(): Promise<string> {
    try {
      const arn = await this.askArn();
      this.lacking = undefined;
      return arn;
    } catch (error) {
      throw workerIdentityFailure(error, this.vendorRoleArn, lacksIdentity(error) ? this.lackingMs() : 0);
    }
  }

  /** Another worker may have succeeded meanwhile: what was seen long ago is not counted. */
  private lackingMs(): number {
    const nowMs = Date.now();
    const { lacking } = this;
    const goesOn = lacking !== undefined && nowMs - lacking.lastMs < workerIdentityForgetMs;
    const sinceMs = goesOn ? lacking.sinceMs : nowMs;
    this.lacking = { sinceMs, lastMs: nowMs };
    return nowMs - sinceMs;
  }
}
