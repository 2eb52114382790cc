/** The processes of one worker that copy. A thread of Node fills a core; these fill the machine. */
import { fork, type ChildProcess } from 'node:child_process';
import { setTimeout } from 'node:timers/promises';
import { copyingShare, type Environment } from './config';
import { copyProcessRestartMs, copyProcessSettledMs, shutdownForceMs } from './timing';

export interface CopyProcessesOptions {
  readonly count: number;
  /** A module that works until its parent lets go of it: at the event `disconnect`, also where the parent was killed. */
  readonly program: string;
  readonly args: readonly string[];
  /** Of the whole worker: each process gets its share of what is set for all. */
  readonly environment: Environment;
  readonly warn: (message: string) => void;
  /** Before a process that ended is started again: after its first end, its second …, and so on. */
  readonly restartMs?: readonly number[];
}

/** In MB. What a copy leaves behind dies young, and a small young generation stays in the cores' caches (docs/performance.md). */
export const copyingFlags = ['--max-semi-space-size=4'];

export class CopyProcesses {
  private readonly children = new Set<ChildProcess>();
  private readonly stopping = new AbortController();

  constructor(private readonly options: CopyProcessesOptions) {}

  /** Until they were told to stop and have ended. One that ends before is started again. */
  async run(): Promise<void> {
    await Promise.all(Array.from({ length: this.options.count }, () => this.keepOneRunning()));
  }

  /** They take no more work and finish or hand over what they have, as a worker does at SIGTERM. */
  stop(): void {
    this.stopping.abort();
    for (const child of this.children) letGo(child);
  }

  private async keepOneRunning(): Promise<void> {
    const { restartMs = copyProcessRestartMs, warn } = this.options;
    const { signal } = this.stopping;
    for (let ends = 0; !signal.aborted;) {
      const startedMs = performance.now();
      const how = await this.runOne();
      if (signal.aborted) return;
      ends = performance.now() - startedMs > copyProcessSettledMs ? 1 : ends + 1;
      const waitMs = restartMs[Math.min(ends, restartMs.length) - 1] ?? 0;
      warn(`A copying process ended (${how}); it is started again in ${waitMs / 1000} s`);
      await setTimeout(waitMs, undefined, { signal }).catch(() => {});
    }
  }

  /** Resolves to how it ended. */
  private async runOne(): Promise<string> {
    const { count, program, args, environment } = this.options;
    const child = fork(program, args, {
      // Ctrl-C in a terminal is for the parent, which lets go of each once.
      detached: true,
      execArgv: [...process.execArgv, ...copyingFlags],
      env: { ...environment, ...copyingShare(count, environment) },
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    this.children.add(child);
    try {
      return await new Promise((resolve) => {
        child.once('error', (error) => resolve(error.message));
        child.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`));
      });
    } finally {
      this.children.delete(child);
    }
  }
}

function letGo(child: ChildProcess): void {
  if (child.connected) child.disconnect();
  // It ends by force itself; this is for one that hangs.
  globalThis.setTimeout(() => child.kill('SIGKILL'), 2 * shutdownForceMs).unref();
}
