import type { BucketName } from '../../src/contract';
import { parseBucketName } from '../../src/dump/inputs';
import { ShardSlots, type ShardTurns } from '../../src/dump/shard-slots';

const kiB = 1024;
const miB = 1024 * kiB;
const small = 256 * kiB;
const large = 128 * miB;
const bucket = parseBucketName('acme-data');
const otherBucket = parseBucketName('globex-data');
const slowDown = Object.assign(new Error('Please reduce your request rate.'), { type: 'SlowDown' });
const never = new AbortController().signal;

const aMoment = () => new Promise((resolve) => setImmediate(resolve));

/** A range of shards that copies until the test says that one is put. */
class Range {
  readonly begun: number[] = [];
  readonly failures: unknown[] = [];
  private readonly settle = new Map<number, PromiseWithResolvers<void>>();

  private constructor(private readonly turns: ShardTurns) {}

  static async begin(slots: ShardSlots, of: BucketName = bucket): Promise<Range> {
    const opened = Promise.withResolvers<Range>();
    void slots.sharing(of, (turns) => {
      opened.resolve(new Range(turns));
      return new Promise(() => {});
    });
    return opened.promise;
  }

  async take(count: number, sizeBytes: number, signal = never): Promise<void> {
    for (let index = 0; index < count; index += 1) {
      const shard = this.settle.size;
      const settled = Promise.withResolvers<void>();
      this.settle.set(shard, settled);
      const put = (): Promise<void> => {
        this.begun.push(shard);
        return settled.promise;
      };
      this.turns.take(sizeBytes, signal, put).catch((error: unknown) => this.failures.push(error));
    }
    await aMoment();
  }

  async finish(...shards: number[]): Promise<void> {
    for (const shard of shards) this.settle.get(shard)?.resolve();
    await aMoment();
  }

  async fail(shard: number, error: Error): Promise<void> {
    this.settle.get(shard)?.reject(error);
    await aMoment();
  }
}

test('small shards take a slot each', async () => {
  const range = await Range.begin(new ShardSlots(8));
  await range.take(20, small);
  expect(range.begun).toHaveLength(8);
  await range.finish(3, 5);
  expect(range.begun).toHaveLength(10);
});

test('large shards take four, so that fewer are under way', async () => {
  const range = await Range.begin(new ShardSlots(8));
  await range.take(20, large);
  expect(range.begun).toHaveLength(2);
});

test('one is let go even where it is larger than there are slots', async () => {
  const range = await Range.begin(new ShardSlots(2));
  await range.take(2, large);
  expect(range.begun).toEqual([0]);
  await range.finish(0);
  expect(range.begun).toEqual([0, 1]);
});

test('a giant table that came first leaves the small one the next turns', async () => {
  const slots = new ShardSlots(8);
  const giant = await Range.begin(slots);
  await giant.take(100, large);
  const tiny = await Range.begin(slots);
  await tiny.take(4, small);
  expect(tiny.begun).toEqual([]);
  await giant.finish(0);
  expect(tiny.begun).toEqual([0, 1, 2, 3]);
  expect(giant.begun).toHaveLength(2);
});

test('a large shard gets its slots although small ones wait for each that is free', async () => {
  const slots = new ShardSlots(4);
  const tiny = await Range.begin(slots);
  await tiny.take(100, small);
  const giant = await Range.begin(slots);
  await giant.take(1, large);
  await tiny.finish(0, 1, 2);
  expect(giant.begun).toEqual([]);
  // Both have nothing under way then, and turn about is fair: the small one has one more.
  await tiny.finish(3);
  expect(tiny.begun).toHaveLength(5);
  await tiny.finish(4);
  expect(giant.begun).toEqual([0]);
});

test('SlowDown halves at once what the bucket has under way, and puts that succeed widen it again', async () => {
  const slots = new ShardSlots(8);
  const range = await Range.begin(slots);
  await range.take(200, small);
  await range.fail(0, slowDown);
  expect(slots.limitOf(bucket)).toBe(4);
  expect(range.failures).toEqual([slowDown]);
  // The seven others finish before more than four are under way again.
  await range.finish(1, 2, 3, 4);
  expect(range.begun).toHaveLength(9);
  for (let shard = 5; slots.limitOf(bucket) < 8; shard += 1) {
    expect(range.begun.length).toBeGreaterThan(shard);
    await range.finish(shard);
  }
  expect(range.begun.length).toBeLessThan(100);
});

test('answers to what was under way already do not narrow it twice', async () => {
  const slots = new ShardSlots(8);
  const range = await Range.begin(slots);
  await range.take(20, small);
  for (const shard of [0, 1, 2, 3, 4]) await range.fail(shard, slowDown);
  expect(slots.limitOf(bucket)).toBe(4);
});

test('however often it is told, one shard at a time goes on', async () => {
  const slots = new ShardSlots(8);
  const range = await Range.begin(slots);
  await range.take(40, small);
  for (let shard = 0; shard < 20; shard += 1) await range.fail(shard, slowDown);
  expect(slots.limitOf(bucket)).toBe(1);
  expect(range.begun).toHaveLength(21);
});

test("another customer's bucket keeps its pace, and takes what is left over", async () => {
  const slots = new ShardSlots(8);
  const slow = await Range.begin(slots);
  await slow.take(20, small);
  await slow.fail(0, slowDown);
  const other = await Range.begin(slots, otherBucket);
  await other.take(20, small);
  await slow.finish(1, 2, 3, 4, 5, 6, 7);
  expect(slots.limitOf(otherBucket)).toBe(8);
  expect(slow.begun.length - 8).toBe(4);
  expect(other.begun).toHaveLength(4);
});

test('a failure of another kind narrows nothing', async () => {
  const slots = new ShardSlots(8);
  const range = await Range.begin(slots);
  await range.take(20, small);
  await range.fail(0, new Error('socket hang up'));
  expect(slots.limitOf(bucket)).toBe(8);
  expect(range.begun).toHaveLength(9);
});

test('who is cancelled while it waits leaves at once and gives its turn away', async () => {
  const slots = new ShardSlots(1);
  const range = await Range.begin(slots);
  await range.take(1, small);
  const { signal, abort } = abortable();
  await range.take(1, small, signal);
  await range.take(1, small);
  const cancelled = new Error('cancelled');
  abort(cancelled);
  await aMoment();
  expect(range.failures).toEqual([cancelled]);
  await range.finish(0);
  expect(range.begun).toEqual([0, 2]);
});

function abortable() {
  const controller = new AbortController();
  return { signal: controller.signal, abort: (reason: Error) => controller.abort(reason) };
}
