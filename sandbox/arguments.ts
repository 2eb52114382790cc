/** What the programs around the product are asked for, and how they say that it cannot be. */
import { InvalidInput } from '../src/dump/inputs';
import { SandboxError } from './toolchain';

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

/** Runs a program to the end of the process: the code that it returns, 0 for none; 1 where it failed, 2 where an argument is wrong. */
export function runToEnd(program: () => Promise<number | void>): void {
  program().then(
    // Handles of servers that have stopped would keep the process for a while.
    (code) => process.exit(code ?? undefined),
    (error: unknown) => {
      const isWrong =
        error instanceof InvalidInput || String((error as { code?: unknown }).code).startsWith('ERR_PARSE_ARGS');
      console.error(isWrong || error instanceof SandboxError ? (error as Error).message : error);
      process.exit(isWrong ? 2 : 1);
    },
  );
}
