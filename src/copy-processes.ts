/** Processes of one worker that only copy. A thread of Node fills a core; these fill the machine. */
import { fork, type ChildProcess } from 'node:child_process';
import { setTimeout } from 'node:timers/promises';
import { copyingShare, readWorkerConfig, type Environment } from './config';
import { copyProcessRestartMs, copyProcessSettledMs, shutdownForceMs } from './timing';
import { shardsInFlight, type Stoppable } from './workers';

export interface CopyProcessOptions {
  /** A module that works until its parent lets go of it: at the event `disconnect`, also where the parent was killed. */
  readonly program: string;
  readonly args: readonly string[];
  readonly environment: Environment;
  readonly warn: (message: string) => void;
  /** Before it is started again: after its first end, its second …, and so on. */
  readonly restartMs?: readonly number[];
}

/**
 * Together they keep to what the environment sets for the whole worker.
 * @throws InvalidInput where a share is too small to copy with
 */
export function copyProcesses(count: number, options: CopyProcessOptions): CopyProcess[] {
  const environment = { ...options.environment, ...copyingShare(count, options.environment) };
  shardsInFlight(readWorkerConfig(environment));
  return Array.from({ length: count }, () => new CopyProcess({ ...options, environment }));
}

/** In MB. What a copy leaves behind dies young, and a small young generation stays in the cores' caches (docs/performance.md). */
export const copyingFlags = ['--max-semi-space-size=4'];

/** The exit code of one whose work failed for good, as Temporal refuses it: so it would the next, and the worker ends. */
export const failedForGood = 3;

interface End {
  readonly how: string;
  readonly isForGood: boolean;
}

export class CopyProcess implements Stoppable {
  private child: ChildProcess | undefined;
  private readonly stopping = new AbortController();

  constructor(private readonly options: CopyProcessOptions) {}

  /**
   * Until it was told to stop and has ended. Where it ends before, it is started again.
   * @throws Error where its work failed for good
   */
  async run(): Promise<void> {
    const { restartMs = copyProcessRestartMs, warn } = this.options;
    const { signal } = this.stopping;
    for (let ends = 0; !signal.aborted;) {
      const startedMs = performance.now();
      const { how, isForGood } = await this.runOnce();
      if (signal.aborted) return;
      if (isForGood) throw new Error('A copying process has failed: the log says why.');
      ends = performance.now() - startedMs > copyProcessSettledMs ? 1 : ends + 1;
      const waitMs = restartMs[Math.min(ends, restartMs.length) - 1] ?? 0;
      warn(`A copying process ended (${how}); it is started again in ${waitMs / 1000} s`);
      await setTimeout(waitMs, undefined, { signal }).catch(() => {});
    }
  }

  /** It takes no more work and finishes or hands over what it has, as a worker does at SIGTERM. */
  stop(): void {
    this.stopping.abort();
    if (this.child !== undefined) letGo(this.child);
  }

  /** Resolves when it has ended, or could not be started. */
  private async runOnce(): Promise<End> {
    try {
      this.child = this.start();
    } catch (error) {
      return { how: (error as Error).message, isForGood: false };
    }
    const { promise: ended, resolve } = Promise.withResolvers<End>();
    this.child.once('error', ({ message }) => resolve({ how: message, isForGood: false }));
    this.child.once('exit', (code, signal) =>
      resolve({ how: signal ?? `exit code ${code}`, isForGood: code === failedForGood }),
    );
    return ended.finally(() => (this.child = undefined));
  }

  private start(): ChildProcess {
    const { program, args, environment } = this.options;
    return fork(program, args, {
      // Ctrl-C in a terminal is for the parent, which lets go of each once.
      detached: true,
      execArgv: [...process.execArgv, ...copyingFlags],
      env: { ...environment },
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
  }
}

function letGo(child: ChildProcess): void {
  if (child.connected) child.disconnect();
  // It ends by force itself; this is for one that hangs.
  globalThis.setTimeout(() => child.kill('SIGKILL'), 2 * shutdownForceMs).unref();
}
