/** Starts the sandbox's programs, waits until they answer, and stops them. */
import { spawn } from 'node:child_process';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { SandboxError } from './toolchain';

/** The folder of package.json, also when this file runs from `lib`. */
export const projectFolder = path.join(
  __dirname,
  ...(__dirname.includes(`${path.sep}lib${path.sep}`) ? ['..', '..'] : ['..']),
);

/** Compiled code: child processes run that, also when the parent runs from source. */
export const compiled = (...parts: string[]): string => path.join(projectFolder, 'lib', ...parts);

export interface Running {
  readonly name: string;
  /** 0 where it could not be started. */
  readonly pid: number;
  /** The last lines that the program printed. */
  output(): string;
  /** Hears all that it prints from now on. */
  listen(heard: (text: string) => void): void;
  readonly exited: Promise<number | null>;
  kill(signal?: NodeJS.Signals): void;
  stop(): Promise<void>;
}

/** No more than a program needs: the user's own AWS or Temporal settings must not reach the sandbox. */
const inherited = (): Record<string, string> =>
  Object.fromEntries(
    ['PATH', 'HOME', 'TMPDIR', 'LANG'].flatMap((name) => {
      const value = process.env[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );

const keptLines = 200;
const stopGraceMs = 35_000;

export function start(
  name: string,
  program: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
): Running {
  const child = spawn(program, args, { env: { ...inherited(), ...environment }, stdio: ['ignore', 'pipe', 'pipe'] });
  let lines: string[] = [];
  const listeners: ((text: string) => void)[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (data: Buffer) => {
      lines = [...lines, ...data.toString().split('\n')].slice(-keptLines);
      for (const heard of listeners) heard(data.toString());
    });
  }
  const exited = new Promise<number | null>((resolve) => {
    child.once('close', resolve);
    child.once('error', (error) => {
      lines.push(String(error));
      resolve(null);
    });
  });
  return {
    name,
    pid: child.pid ?? 0,
    output: () => lines.join('\n'),
    listen: (heard) => void listeners.push(heard),
    exited,
    kill: (signal) => void child.kill(signal),
    async stop() {
      child.kill('SIGTERM');
      const late = setTimeout(() => child.kill('SIGKILL'), stopGraceMs);
      await exited;
      clearTimeout(late);
    },
  };
}

/** Waits until `isReady` holds, as long as the program lives. */
export async function untilReady(running: Running, isReady: () => Promise<boolean>, timeoutMs = 60_000): Promise<void> {
  const giveUp = Date.now() + timeoutMs;
  const state = { exited: false };
  void running.exited.then(() => (state.exited = true));
  // Also where something answers: it may be another program, which has the port.
  while (!(await isReady().catch(() => false)) || state.exited) {
    if (state.exited) throw new SandboxError(`${running.name} ended at once. It printed:\n${running.output()}`);
    if (Date.now() > giveUp) {
      throw new SandboxError(
        `${running.name} did not get ready within ${timeoutMs / 1000} s. It printed:\n${running.output()}`,
      );
    }
    await delay(50);
  }
}

/** A certificate that this process does not trust is answer enough. */
export const answers = (url: string) => async (): Promise<boolean> => {
  try {
    const response = await fetch(url);
    await response.body?.cancel();
    return response.status < 500;
  } catch (error) {
    const { code = '' } = ((error as Error).cause ?? {}) as { code?: string };
    return /CERT/.test(code);
  }
};
