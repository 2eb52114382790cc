import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { findBrowser, type BrowserPlaces } from '../../sandbox/browser';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'browsers-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** A program that answers `--version`, or one that fails. */
function program(name: string, exitCode = 0): string {
  const file = path.join(folder, name);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, `#!/bin/sh\nexit ${exitCode}\n`);
  chmodSync(file, 0o755);
  return file;
}

const places = (some: Partial<BrowserPlaces> = {}): BrowserPlaces => ({
  given: undefined,
  pathFolders: [path.join(folder, 'first'), path.join(folder, 'second')],
  applications: [path.join(folder, 'Applications', 'Chromium')],
  downloads: path.join(folder, 'downloads'),
  ...some,
});

test('the browser that is given comes before any other', () => {
  program('first/chromium');
  const given = program('mine');
  expect(findBrowser(places({ given }))).toBe(given);
});

test('a given browser that does not start is refused by name', () => {
  program('first/chromium');
  expect(() => findBrowser(places({ given: path.join(folder, 'nothing') }))).toThrow(/^CHROMIUM names '.*\/nothing'/);
  expect(() => findBrowser(places({ given: program('broken', 1) }))).toThrow('correct it or unset it');
});

test('Chromium on the PATH comes before Chrome, applications and downloads', () => {
  program('first/google-chrome');
  program('Applications/Chromium');
  program('downloads/chromium_headless_shell-1/linux/chrome-headless-shell');
  const chromium = program('second/chromium');
  expect(findBrowser(places({ given: '' }))).toBe(chromium);
});

test('a stub on the PATH that only says what to install is passed over', () => {
  program('first/chromium-browser', 10);
  const application = program('Applications/Chromium');
  expect(findBrowser(places())).toBe(application);
});

test('what Playwright downloaded before is found again', () => {
  const shell = program('downloads/chromium_headless_shell-1/linux/chrome-headless-shell');
  expect(findBrowser(places())).toBe(shell);
});

test('a machine without a browser has none', () => {
  expect(findBrowser(places())).toBeUndefined();
});
