/**
 * Chromium, for the test that works Temporal's UI as an operator does. It is looked for where it is given, on the PATH,
 * among macOS's applications and in the project's cache; where it is nowhere, Playwright downloads its own, or Debian's
 * package is installed.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { cacheFolder, isExecutable, run, sayingThatItGoesOn, SandboxError } from './toolchain';

export interface BrowserPlaces {
  /** What the variable CHROMIUM names. */
  readonly given: string | undefined;
  readonly pathFolders: readonly string[];
  /** Executables where installers put them that do not touch the PATH. */
  readonly applications: readonly string[];
  /** Where Playwright puts what it downloads. */
  readonly downloads: string;
}

const thisMachine = (): BrowserPlaces => ({
  given: process.env['CHROMIUM'],
  pathFolders: (process.env['PATH'] ?? '').split(path.delimiter),
  applications: [
    '/Applications/Chromium.app/Contents/MacOS/Chromium',
    '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  ],
  downloads: path.join(cacheFolder(), 'playwright-browsers'),
});

const namesOnPath = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

/** Where a Chromium that starts is, if it is anywhere. */
export function findBrowser(places: BrowserPlaces = thisMachine()): string | undefined {
  const { given, pathFolders, applications, downloads } = places;
  if (given !== undefined && given !== '') {
    if (starts(given)) return given;
    throw new SandboxError(`CHROMIUM names '${given}', which is not a Chromium that starts: correct it or unset it.`);
  }
  const onPath = namesOnPath.flatMap((name) => pathFolders.map((folder) => path.join(folder, name)));
  return [...onPath, ...applications, ...downloaded(downloads)].find(starts);
}

/** Some distributions put a script there that only says what to install, and a download may lack the system's libraries. */
const starts = (file: string): boolean =>
  isExecutable(file) && spawnSync(file, ['--version'], { stdio: 'ignore', timeout: 30_000 }).status === 0;

function downloaded(folder: string): string[] {
  try {
    return readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((file) => path.basename(file) === 'chrome-headless-shell')
      .map((file) => path.join(folder, file));
  } catch {
    return [];
  }
}

/** Where Chromium is, after installing it if need be. */
export async function ensureBrowser(say: (line: string) => void): Promise<string> {
  return findBrowser() ?? (await downloadBrowser(say)) ?? (await installDebianPackage(say));
}

async function downloadBrowser(say: (line: string) => void): Promise<string | undefined> {
  const { downloads } = thisMachine();
  const cli = path.join(path.dirname(require.resolve('playwright-core/package.json')), 'cli.js');
  say(`Downloading Chromium into ${downloads}: about a minute, once.`);
  try {
    await sayingThatItGoesOn('downloading Chromium', say, () =>
      run(process.execPath, [cli, 'install', 'chromium-headless-shell'], {
        PLAYWRIGHT_BROWSERS_PATH: downloads,
        PLAYWRIGHT_DOWNLOAD_CONNECTION_TIMEOUT: '10000',
      }),
    );
  } catch {
    say('The download of Chromium did not succeed.');
    return undefined;
  }
  const found = findBrowser();
  if (found === undefined) say('The Chromium that was downloaded does not start on this machine.');
  return found;
}

async function installDebianPackage(say: (line: string) => void): Promise<string> {
  if (process.getuid?.() !== 0 || spawnSync('apt-get', ['--version'], { stdio: 'ignore' }).status !== 0) {
    throw new SandboxError(
      'Chromium is not on this machine: install it (on Debian: apt-get install chromium), or set CHROMIUM to a Chromium or Chrome that you have.',
    );
  }
  say("Installing Debian's package of Chromium: about two minutes, once.");
  const unattended = { DEBIAN_FRONTEND: 'noninteractive' };
  try {
    await sayingThatItGoesOn('installing Chromium', say, async () => {
      await run('apt-get', ['update'], unattended);
      // A machine without any font shows no text.
      const packages = ['chromium', 'fonts-dejavu-core'];
      const options = ['--yes', '--no-install-recommends', '-o', 'DPkg::Lock::Timeout=120'];
      await run('apt-get', ['install', ...options, ...packages], unattended);
    });
  } catch (error) {
    throw new SandboxError(`Could not install Chromium: ${(error as Error).message}`, { cause: error });
  }
  const found = findBrowser();
  if (found === undefined) {
    throw new SandboxError(
      "The system's package of Chromium does not start: set CHROMIUM to a Chromium or Chrome that does.",
    );
  }
  return found;
}
