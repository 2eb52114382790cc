/** What the benches are asked for, and how they say that it cannot be. */
import { SandboxError } from '../sandbox/toolchain';
import { InvalidInput } from '../src/dump/inputs';

/** @throws InvalidInput */
export function chosen<T extends string>(option: string, text: string, known: readonly T[]): T[] {
  const words = text.split(',');
  const unknown = words.find((word) => !(known as readonly string[]).includes(word));
  if (unknown !== undefined) throw new InvalidInput(`${option} takes ${known.join(', ')}, not '${unknown}'.`);
  return known.filter((name) => words.includes(name));
}

/** @throws InvalidInput */
export function wholeNumber(option: string, text: string, least = 1): number {
  if (!/^\d{1,5}$/.test(text) || Number(text) < least) {
    throw new InvalidInput(`${option} takes a whole number from ${least} to 99999, not '${text}'.`);
  }
  return Number(text);
}

/** Runs a bench to the end of the process: 0, 1 where it failed, 2 where an argument is wrong. */
export function runToEnd(bench: () => Promise<void>): void {
  bench().then(
    // Handles of servers that have stopped would keep the process for a while.
    () => process.exit(),
    (error: unknown) => {
      const isWrong =
        error instanceof InvalidInput || String((error as { code?: unknown }).code).startsWith('ERR_PARSE_ARGS');
      console.error(isWrong || error instanceof SandboxError ? (error as Error).message : error);
      process.exit(isWrong ? 2 : 1);
    },
  );
}
