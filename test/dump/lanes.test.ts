import { inLanes } from '../../src/dump/lanes';

/** Work that ends when the test says so. */
class Works {
  readonly begun: number[] = [];
  readonly ended: number[] = [];
  private readonly settle = new Map<number, PromiseWithResolvers<void>>();

  readonly work = async (item: number): Promise<void> => {
    this.begun.push(item);
    const settled = Promise.withResolvers<void>();
    this.settle.set(item, settled);
    await settled.promise.finally(() => this.ended.push(item));
  };

  async finish(item: number): Promise<void> {
    this.settle.get(item)?.resolve();
    await aMoment();
  }

  async fail(item: number, message: string): Promise<void> {
    this.settle.get(item)?.reject(new Error(message));
    await aMoment();
  }
}

const aMoment = () => new Promise((resolve) => setImmediate(resolve));

test('never more than the width are at work, and a lane that is free takes the next', async () => {
  const works = new Works();
  const done = inLanes([1, 2, 3, 4], 2, works.work);
  await aMoment();
  expect(works.begun).toEqual([1, 2]);
  await works.finish(2);
  expect(works.begun).toEqual([1, 2, 3]);
  await works.finish(1);
  await works.finish(3);
  await works.finish(4);
  await done;
  expect(works.ended).toEqual([2, 1, 3, 4]);
});

test('after a failure nothing new is begun, what is under way finishes, and the first failure is thrown', async () => {
  const works = new Works();
  const settled = jest.fn();
  const outcome = inLanes([1, 2, 3, 4, 5], 3, works.work).catch((error: unknown) => error);
  void outcome.then(settled);
  await aMoment();
  await works.fail(2, 'first');
  await works.fail(3, 'second');
  expect(settled).not.toHaveBeenCalled();
  await works.finish(1);
  expect(await outcome).toEqual(new Error('first'));
  expect(works.begun).toEqual([1, 2, 3]);
  expect(works.ended).toEqual([2, 3, 1]);
});

test('no items are no work', async () => {
  const works = new Works();
  await inLanes([], 3, works.work);
  expect(works.begun).toEqual([]);
});
