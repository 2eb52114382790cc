// Brings node_modules up to date with the lockfile, if it is not. Plain JavaScript: it runs on whatever Node is there.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const installed = path.join(root, 'node_modules', '.installed-lockfile');
const lockfile = readFileSync(path.join(root, 'package-lock.json'), 'utf8');

if (!existsSync(installed) || readFileSync(installed, 'utf8') !== lockfile) {
  console.error('Installing the npm packages of the lockfile. This takes about a minute, once.');
  const { status } = spawnSync('npm', ['ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    shell: process.platform === 'win32',
  });
  if (status !== 0) {
    console.error('npm ci failed; it says why above. Mend that and start again.');
    process.exit(1);
  }
  writeFileSync(installed, lockfile);
}
