/**
 * The programs that the sandbox is made of. Each is looked for where it is given, on the PATH and in the project's cache;
 * where it is nowhere, it is built or installed from its language's package registry, once.
 */
import { spawn, spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, mkdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** Something that the user must do. The message is the sentence that says what. */
export class SandboxError extends Error {
  override readonly name = 'SandboxError';
}

export const cacheFolder = (): string =>
  process.env['S3_DESTINATION_CACHE'] ??
  path.join(process.env['XDG_CACHE_HOME'] ?? path.join(os.homedir(), '.cache'), 's3-destination');

export interface Tool {
  readonly name: string;
  readonly version: string;
  /** The environment variable by which the user gives it. */
  readonly givenBy: string;
  /** Whether one on the PATH will do, whatever its version. */
  readonly takesPath: boolean;
  readonly needs: Requirement;
  readonly minutes: string;
  /** The executable's path within the tool's folder. */
  readonly executable: string;
  /** Installs into `folder`, an empty one. */
  readonly install: (folder: string) => Promise<void>;
}

interface Requirement {
  readonly program: string;
  readonly args: readonly string[];
  readonly what: string;
}

const go: Requirement = { program: 'go', args: ['version'], what: 'Go (https://go.dev/doc/install)' };
const maven: Requirement = {
  program: 'mvn',
  args: ['--version'],
  what: 'Java with Maven (https://maven.apache.org/install.html)',
};
const python: Requirement = {
  program: 'python3',
  args: ['-c', 'import sys, venv; sys.exit(sys.version_info < (3, 11))'],
  what: 'Python 3.11 or later with venv (https://www.python.org/downloads/)',
};

const goInstall = (module: string) => (folder: string) => run('go', ['install', module], { GOBIN: folder });

async function pipInstall(folder: string, requirement: string): Promise<void> {
  await run('python3', ['-m', 'venv', folder]);
  await run(path.join(folder, 'bin', 'pip'), ['install', '--quiet', '--disable-pip-version-check', requirement]);
}

/** The Temporal server with its UI. Later versions of the CLI refuse `go install`. */
export const temporalCli: Tool = {
  name: 'temporal',
  version: '1.5.1',
  givenBy: 'TEMPORAL_CLI',
  takesPath: true,
  needs: go,
  minutes: 'about five minutes',
  executable: 'temporal',
  install: goInstall('github.com/temporalio/cli/cmd/temporal@v1.5.1'),
};

/** The Java SDK's test server, which skips time. */
export const temporalTestServer: Tool = {
  name: 'temporal-test-server',
  version: '1.38.0',
  givenBy: 'TEMPORAL_TEST_SERVER',
  takesPath: true,
  needs: maven,
  minutes: 'about a minute',
  executable: 'temporal-test-server',
  async install(folder) {
    const pom = path.join(folder, 'pom.xml');
    writeFileSync(pom, testServerPom(this.version));
    await run('mvn', [
      '--batch-mode',
      '--quiet',
      '--file',
      pom,
      'dependency:copy-dependencies',
      '-DoutputDirectory=lib',
    ]);
    const script = `#!/bin/sh\nexec java -cp "$(dirname "$0")/lib/*" io.temporal.testserver.TestServer "$@"\n`;
    writeFileSync(path.join(folder, this.executable), script, { mode: 0o755 });
  },
};

const testServerPom = (version: string): string => `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>sandbox</groupId>
  <artifactId>temporal-test-server</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>io.temporal</groupId>
      <artifactId>temporal-test-server</artifactId>
      <version>${version}</version>
    </dependency>
  </dependencies>
</project>
`;

/** Cloud Storage. */
export const fakeGcsServer: Tool = {
  name: 'fake-gcs-server',
  version: '1.56.1',
  givenBy: 'FAKE_GCS_SERVER',
  takesPath: true,
  needs: go,
  minutes: 'about two minutes',
  executable: 'fake-gcs-server',
  install: goInstall('github.com/fsouza/fake-gcs-server@v1.56.1'),
};

/** STS, IAM and S3. */
export const ministack: Tool = {
  name: 'ministack',
  version: '1.5.33',
  givenBy: 'MINISTACK',
  takesPath: false,
  needs: python,
  minutes: 'less than a minute',
  executable: path.join('bin', 'ministack'),
  install(folder) {
    return pipInstall(folder, `ministack==${this.version}`);
  },
};

/** The linter of CloudFormation templates. */
export const cfnLint: Tool = {
  name: 'cfn-lint',
  version: '1.58.0',
  givenBy: 'CFN_LINT',
  takesPath: false,
  needs: python,
  minutes: 'less than a minute',
  executable: path.join('bin', 'cfn-lint'),
  install(folder) {
    return pipInstall(folder, `cfn-lint==${this.version}`);
  },
};

/** Reads a file in Terraform's language with Terraform's own parser, against a description of what may be in it. */
export const hcldec: Tool = {
  name: 'hcldec',
  version: '2.24.0',
  givenBy: 'HCLDEC',
  takesPath: false,
  needs: go,
  minutes: 'less than a minute',
  executable: 'hcldec',
  install: goInstall('github.com/hashicorp/hcl/v2/cmd/hcldec@v2.24.0'),
};

/** S3 for bulk data: fast, and it checks CRC32C. */
export const versitygw: Tool = {
  name: 'versitygw',
  version: '1.8.0',
  givenBy: 'VERSITYGW',
  takesPath: false,
  needs: go,
  minutes: 'about a minute',
  executable: 'versitygw',
  install: goInstall('github.com/versity/versitygw/cmd/versitygw@v1.8.0'),
};

/** What the copy is measured against. */
export const rclone: Tool = {
  name: 'rclone',
  version: '1.76.0',
  givenBy: 'RCLONE',
  takesPath: false,
  needs: go,
  minutes: 'about three minutes',
  executable: 'rclone',
  install: goInstall('github.com/rclone/rclone@v1.76.0'),
};

const toolFolder = (tool: Tool): string =>
  path.join(cacheFolder(), `${tool.name}-${tool.version}-${process.platform}-${process.arch}`);

/** Where the tool is, if it is anywhere: given, on the PATH, or in the cache. */
export function findTool(tool: Tool): string | undefined {
  const given = process.env[tool.givenBy];
  if (given !== undefined && given !== '') {
    if (isExecutable(given)) return given;
    throw new SandboxError(
      `${tool.givenBy} names '${given}', which is not an executable file: correct it or unset it.`,
    );
  }
  const folders = tool.takesPath ? (process.env['PATH'] ?? '').split(path.delimiter) : [];
  const onPath = folders.map((folder) => path.join(folder, tool.name)).find(isExecutable);
  const cached = path.join(toolFolder(tool), tool.executable);
  return onPath ?? (isExecutable(cached) && !existsSync(incompleteMarker(tool)) ? cached : undefined);
}

/**
 * Beside a tool's folder while it is being installed, and after an install that was interrupted. Who installs touches it
 * every few seconds, so that another program, such as `npm test` beside the demo, waits for it.
 */
const incompleteMarker = (tool: Tool): string => `${toolFolder(tool)}.incomplete`;

const touchEveryMs = 5_000;
const interruptedAfterMs = 30_000;

/** Where the tool is, after installing it if need be. */
export async function ensureTool(tool: Tool, say: (line: string) => void): Promise<string> {
  return findTool(tool) ?? installTool(tool, say);
}

async function installTool(tool: Tool, say: (line: string) => void): Promise<string> {
  requirePresent(tool);
  mkdirSync(cacheFolder(), { recursive: true });
  if (!claimInstall(tool)) {
    say(`${tool.name} ${tool.version} is being installed by another program: waiting for it.`);
    while (isBeingInstalled(tool)) await delay(500);
    return ensureTool(tool, say);
  }
  const folder = toolFolder(tool);
  say(`Installing ${tool.name} ${tool.version} into ${folder}: ${tool.minutes}, once.`);
  const touching = setInterval(() => touch(incompleteMarker(tool)), touchEveryMs);
  try {
    // A venv knows its own path, so it is made in place; whatever is left of an interrupted install goes first.
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    await sayingThatItGoesOn(`installing ${tool.name}`, say, () => tool.install(folder));
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw new SandboxError(`Could not install ${tool.name}: ${(error as Error).message}`);
  } finally {
    clearInterval(touching);
    rmSync(incompleteMarker(tool), { force: true });
  }
  return path.join(folder, tool.executable);
}

/** Whether it is ours to install: nobody else is at it. */
function claimInstall(tool: Tool): boolean {
  try {
    writeFileSync(incompleteMarker(tool), '', { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    if (isBeingInstalled(tool)) return false;
    touch(incompleteMarker(tool));
    return true;
  }
}

function isBeingInstalled(tool: Tool): boolean {
  const { mtimeMs = 0 } = statSync(incompleteMarker(tool), { throwIfNoEntry: false }) ?? {};
  return Date.now() - mtimeMs < interruptedAfterMs;
}

const touch = (file: string): void => utimesSync(file, new Date(), new Date());

/** Does `work` and meanwhile says every 20 seconds that it goes on. */
export async function sayingThatItGoesOn(
  what: string,
  say: (line: string) => void,
  work: () => Promise<void>,
): Promise<void> {
  const startedMs = Date.now();
  const ticking = setInterval(() => {
    say(`  still ${what}: ${Math.round((Date.now() - startedMs) / 1000)} s`);
  }, 20_000);
  try {
    await work();
  } finally {
    clearInterval(ticking);
  }
}

function requirePresent({ name, needs, givenBy }: Tool): void {
  const { status } = spawnSync(needs.program, needs.args, { stdio: 'ignore' });
  if (status === 0) return;
  throw new SandboxError(
    `${name} is not on this machine, and installing it needs ${needs.what}: install that, or set ${givenBy} to a ${name} that you have.`,
  );
}

export function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Runs a command to its end; what it printed is shown only if it fails. */
export function run(program: string, args: readonly string[], environment: Record<string, string> = {}): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { env: { ...process.env, ...environment }, stdio: ['ignore', 'pipe', 'pipe'] });
    const output: string[] = [];
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (data: Buffer) => output.push(data.toString()));
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) return resolve();
      reject(
        new Error(
          `${program} ${args.join(' ')} ended with ${code}:\n${output.join('').split('\n').slice(-20).join('\n')}`,
        ),
      );
    });
  });
}
