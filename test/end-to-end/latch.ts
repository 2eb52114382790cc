/** A promise that is resolved from outside. */
export interface Latch<T> {
  readonly opened: Promise<T>;
  readonly open: (value: T) => void;
}

export function createLatch<T>(): Latch<T> {
  let open: (value: T) => void = () => {};
  const opened = new Promise<T>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}
