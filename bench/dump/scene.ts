/** A Temporal server of the bench's own, and a worker process whose services are in memory. */
import { fork, type ChildProcess } from 'node:child_process';
import { Client, Connection } from '@temporalio/client';
import { freePort } from '../../sandbox/ports';
import { compiled } from '../../sandbox/processes';
import { givenTemporalAddress, startTemporalServer } from '../../sandbox/temporal-server';
import { SandboxError } from '../../sandbox/toolchain';
import { Destinations } from '../../src/client/destinations';
import { childrenOf, cpuSecondsOf } from '../cpu-seconds';
import type { Services } from './services';
import type { ReceiptPut, WorkerArguments, WorkerMessage, WorkerQuestion, WorkerReport } from './worker-messages';

export class TemporalScene {
  private constructor(
    readonly client: Client,
    private readonly environment: Readonly<Record<string, string>>,
    private readonly serverPids: readonly number[],
    private readonly stopServer: () => Promise<void>,
  ) {}

  static async start(say: (line: string) => void): Promise<TemporalScene> {
    // Its workers would take the work of real customers and deliver it nowhere.
    if (givenTemporalAddress() !== undefined) {
      throw new SandboxError(
        'TEMPORAL_ADDRESS is set: unset it, as this bench works for a Temporal server of its own only.',
      );
    }
    const before = childrenOf(process.pid);
    // In memory: on a disk it mostly waits for that. Its log says of an overloaded server no more than the figures do.
    const options = { port: await freePort(), uiPort: await freePort(), log: { format: 'pretty', level: 'never' } };
    const server = await startTemporalServer(options, say);
    const serverPids = childrenOf(process.pid).filter((pid) => !before.includes(pid));
    const connection = await Connection.connect({ address: server.environment['TEMPORAL_ADDRESS'] ?? '' });
    return new TemporalScene(new Client({ connection }), server.environment, serverPids, async () => {
      await connection.close();
      await server.stop();
    });
  }

  get destinations(): Destinations {
    return new Destinations(this.client);
  }

  /** What the server has used so far; undefined where the system does not tell. */
  serverCpuSeconds(): number | undefined {
    const used = this.serverPids.map(cpuSecondsOf);
    return used.length === 0 ? undefined : used.reduce<number>((sum, seconds) => sum + (seconds ?? 0), 0);
  }

  async withWorker<T>(
    services: Services,
    profileFolder: string | undefined,
    work: (worker: WorkerProcess) => Promise<T>,
  ): Promise<T> {
    const worker = await WorkerProcess.start(services, this.environment, profileFolder);
    try {
      return await work(worker);
    } finally {
      await worker.stop();
    }
  }

  stop(): Promise<void> {
    return this.stopServer();
  }
}

export class WorkerProcess {
  private readonly answers = new Map<number, (message: WorkerMessage) => void>();
  private readonly listeners = new Set<(receipt: ReceiptPut) => void>();
  private asked = 0;
  private readonly exited: Promise<string>;

  private constructor(private readonly child: ChildProcess) {
    this.exited = new Promise((resolve) => {
      child.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`));
    });
  }

  static async start(
    services: Services,
    temporal: Readonly<Record<string, string>>,
    profileFolder: string | undefined,
  ): Promise<WorkerProcess> {
    const metricsAddress = `127.0.0.1:${await freePort()}`;
    const argument = JSON.stringify({ services, metricsAddress } satisfies WorkerArguments);
    const child = fork(compiled('bench', 'dump', 'worker.js'), [argument], {
      execArgv: profileFolder === undefined ? [] : ['--cpu-prof', '--cpu-prof-dir', profileFolder],
      env: { PATH: process.env['PATH'], ...temporal, NODE_ENV: 'production', STAGING_BUCKETS: 'EU=bench-staging' },
    });
    const worker = new WorkerProcess(child);
    const ready = new Promise<void>((resolve) => {
      child.on('message', (message: WorkerMessage) => {
        if (message.kind === 'ready') resolve();
        else worker.hear(message);
      });
    });
    await Promise.race([ready, worker.orItsEnd()]);
    return worker;
  }

  onReceipt(listener: (receipt: ReceiptPut) => void): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  /** @param workflowId whose requests to services are wanted; absent, nobody's */
  async report(workflowId = ''): Promise<WorkerReport> {
    const number = ++this.asked;
    const answered = new Promise<WorkerMessage>((resolve) => this.answers.set(number, resolve));
    this.child.send({ number, workflowId } satisfies WorkerQuestion);
    const message = await Promise.race([answered, this.orItsEnd()]);
    if (message.kind !== 'report') throw new Error(`The worker gives no report: ${JSON.stringify(message)}`);
    return message.report;
  }

  /** Never resolves. @throws Error when the process has ended */
  async orItsEnd(): Promise<never> {
    throw new Error(`The worker process ended: ${await this.exited}`);
  }

  async stop(): Promise<void> {
    if (this.child.connected) this.child.disconnect();
    await this.exited;
  }

  private hear(message: WorkerMessage): void {
    if (message.kind === 'receipt') for (const listener of this.listeners) listener(message);
    if (message.kind === 'report' || message.kind === 'failed') {
      this.answers.get(message.number)?.(message);
      this.answers.delete(message.number);
    }
  }
}
