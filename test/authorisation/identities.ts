/** Those who call Temporal, each through a proxy of its own, and each a process as in production. */
import { execFile } from 'node:child_process';
import { compiled, start, type Running } from '../../sandbox/processes';
import type { EndToEnd } from '../end-to-end/environment';
import { eventually } from '../eventually';
import { GrpcProxy, type Method } from './grpc-proxy';

export const queuesOfWorkers = ['control', 'copy'] as const;
export type Queues = (typeof queuesOfWorkers)[number];

export type Grants = (method: Method) => boolean;

/** Granted to everybody by Temporal's own authoriser (temporalio/temporal, common/authorization/frontend_api.go). */
const everybodys: Method = 'GetSystemInfo';

export const only =
  (granted: readonly Method[]): Grants =>
  (method) =>
    granted.includes(method) || method === everybodys;

export const allBut =
  (...refused: readonly Method[]): Grants =>
  (method) =>
    !refused.includes(method);

export interface Identity {
  readonly proxy: GrpcProxy;
  readonly running: Running;
}

export interface Said {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** What the command called. */
  readonly called: readonly Method[];
}

export class Identities {
  private readonly processes: Running[] = [];
  private readonly proxies: GrpcProxy[] = [];

  constructor(private readonly endToEnd: EndToEnd) {}

  /** Not waited for: it may end before it is ready. */
  async beginWorker(
    queues: Queues,
    grants: Grants,
    environment: Record<string, string> = {},
    copyProcesses = 0,
  ): Promise<Identity> {
    const { aws, storage, bigquery } = this.endToEnd.proxies;
    return this.begin(['worker.js', '--queues', queues, '--copy-processes', String(copyProcesses)], grants, {
      ...this.endToEnd.sandbox.environment,
      AWS_ENDPOINT_URL: aws.url,
      STORAGE_ENDPOINT: storage.url,
      BIGQUERY_ENDPOINT: bigquery.url,
      // Whatever the time of day, a test sees what it does itself.
      ACCESS_CHECK_AT: 'off',
      ...environment,
    });
  }

  async startWorker(queues: Queues, grants: Grants, environment: Record<string, string> = {}): Promise<Identity> {
    const worker = await this.beginWorker(queues, grants, environment);
    await prints(worker, 'RUNNING');
    return worker;
  }

  async begin(
    [program = '', ...args]: readonly string[],
    grants: Grants,
    environment: Record<string, string>,
  ): Promise<Identity> {
    const proxy = await this.proxyWith(grants);
    const running = start(`The process ${program}`, process.execPath, [compiled('src', program), ...args], {
      ...environment,
      TEMPORAL_ADDRESS: proxy.address,
    });
    this.processes.push(running);
    return { proxy, running };
  }

  async command(grants: Grants, ...args: string[]): Promise<Said> {
    const proxy = await this.proxyWith(grants);
    const env = {
      PATH: process.env['PATH'],
      ...this.endToEnd.sandbox.environment,
      TEMPORAL_ADDRESS: proxy.address,
    };
    return new Promise((resolve) => {
      const child = execFile(process.execPath, [compiled('src', 'client.js'), ...args], { env }, (_e, stdout, stderr) =>
        resolve({ code: child.exitCode, stdout, stderr, called: [...proxy.called].toSorted() }),
      );
    });
  }

  async proxyWith(grants: Grants): Promise<GrpcProxy> {
    const proxy = await GrpcProxy.start(this.endToEnd.sandbox.environment['TEMPORAL_ADDRESS'] ?? '', grants);
    this.proxies.push(proxy);
    return proxy;
  }

  async stop(): Promise<void> {
    await Promise.all(this.processes.map((running) => running.stop()));
    await Promise.all(this.proxies.map((proxy) => proxy.stop()));
  }
}

export const prints = ({ running }: Identity, text: string, timeoutMs = 60_000): Promise<unknown> =>
  eventually(
    async () => running.output(),
    (output) => output.includes(text),
    timeoutMs,
  );
