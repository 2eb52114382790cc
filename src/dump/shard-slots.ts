import type { BucketName } from '../contract';

const miB = 1024 ** 2;

/** A shard takes a slot for each of these: a stream that lives long fills a core by itself, a small put mostly waits. */
const bytesPerSlot = 16 * miB;
/** More would not make one stream slower for the others. */
const slotsPerShardMax = 4;

/**
 * What one process copies side by side: few large shards or many small ones. Tables that copy at the same time get equal
 * shares, whatever their sizes and whichever came first. A bucket whose store asks for a slower pace is given fewer slots
 * at once, and more again as puts succeed; the buckets of others are not.
 */
export class ShardSlots {
  private readonly buckets = new Map<BucketName, Bucket>();
  private readonly flows = new Set<Flow>();
  private used = 0;

  /** @param count shards at a time, where they are small */
  constructor(readonly count: number) {}

  /** The slots that `bucket` may have at the moment. */
  limitOf(bucket: BucketName): number {
    return this.buckets.get(bucket)?.limit ?? this.count;
  }

  /** `work` is handed the turns of one range of shards, which share the slots with all other ranges. */
  async sharing<T>(bucketName: BucketName, work: (turns: ShardTurns) => Promise<T>): Promise<T> {
    const bucket = this.buckets.get(bucketName) ?? { limit: this.count, used: 0, narrowings: 0 };
    this.buckets.set(bucketName, bucket);
    const flow: Flow = { bucket, used: 0, waiting: [] };
    this.flows.add(flow);
    try {
      return await work({ take: (sizeBytes, signal, put) => this.take(flow, sizeBytes, signal, put) });
    } finally {
      this.flows.delete(flow);
      this.forgetWide(bucketName, bucket);
    }
  }

  private async take<T>(flow: Flow, sizeBytes: number, signal: AbortSignal, put: Put<T>): Promise<T> {
    const slots = Math.min(Math.max(Math.ceil(sizeBytes / bytesPerSlot), 1), slotsPerShardMax, this.count);
    await this.turn(flow, slots, signal);
    const { bucket } = flow;
    const { narrowings } = bucket;
    try {
      const result = await put();
      if (bucket.narrowings === narrowings) this.widen(bucket, slots);
      return result;
    } catch (error) {
      // What was under way when it was narrowed says nothing about the new pace.
      if (isSlowDown(error) && bucket.narrowings === narrowings) narrow(bucket);
      throw error;
    } finally {
      this.account(flow, -slots);
      this.giveTurns();
    }
  }

  private turn(flow: Flow, slots: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        slots,
        begin: () => {
          signal.removeEventListener('abort', leave);
          resolve();
        },
      };
      const leave = (): void => {
        flow.waiting = flow.waiting.filter((other) => other !== waiter);
        reject(signal.reason as Error);
        this.giveTurns();
      };
      signal.addEventListener('abort', leave, { once: true });
      flow.waiting.push(waiter);
      this.giveTurns();
    });
  }

  private giveTurns(): void {
    for (let next = this.next(); next !== undefined; next = this.next()) {
      const { flow, waiter } = next;
      flow.waiting.shift();
      this.flows.delete(flow);
      this.flows.add(flow);
      this.account(flow, waiter.slots);
      waiter.begin();
    }
  }

  /**
   * The table with the least under way is next; of several, the one whose turn is longest ago. Where its shard does not
   * fit yet, no other goes before it, of the same bucket or at all.
   */
  private next(): { flow: Flow; waiter: Waiter } | undefined {
    const full = new Set<Bucket>();
    for (const flow of [...this.flows].toSorted((a, b) => a.used - b.used)) {
      const { bucket, waiting } = flow;
      const [waiter] = waiting;
      if (waiter === undefined || full.has(bucket)) continue;
      if (!fits(this.used, waiter.slots, this.count)) return undefined;
      if (fits(bucket.used, waiter.slots, Math.floor(bucket.limit))) return { flow, waiter };
      full.add(bucket);
    }
    return undefined;
  }

  private account(flow: Flow, slots: number): void {
    flow.used += slots;
    flow.bucket.used += slots;
    this.used += slots;
  }

  /** By one slot for as many as there are: what was halved in a moment is regained in many. */
  private widen(bucket: Bucket, slots: number): void {
    bucket.limit = Math.min(bucket.limit + slots / bucket.limit, this.count);
  }

  private forgetWide(name: BucketName, bucket: Bucket): void {
    const isUsed = [...this.flows].some((flow) => flow.bucket === bucket);
    if (!isUsed && bucket.limit === this.count) this.buckets.delete(name);
  }
}

/** The turns of one range's shards. */
export interface ShardTurns {
  /** Waits for slots, and puts. A `put` that fails with the type `SlowDown` narrows the bucket. */
  take<T>(sizeBytes: number, signal: AbortSignal, put: Put<T>): Promise<T>;
}

type Put<T> = () => Promise<T>;

interface Bucket {
  limit: number;
  used: number;
  narrowings: number;
}

interface Flow {
  readonly bucket: Bucket;
  used: number;
  waiting: Waiter[];
}

interface Waiter {
  readonly slots: number;
  readonly begin: () => void;
}

/** One is always let go, however few slots there are. */
const fits = (used: number, slots: number, limit: number): boolean => used === 0 || used + slots <= limit;

function narrow(bucket: Bucket): void {
  bucket.limit = Math.max(Math.floor(Math.min(bucket.limit, bucket.used) / 2), 1);
  bucket.narrowings += 1;
}

export const isSlowDown = (error: unknown): boolean => (error as { type?: unknown } | null)?.type === 'SlowDown';
