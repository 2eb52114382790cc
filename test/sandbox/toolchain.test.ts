import { existsSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { ensureTool, findTool, type Tool } from '../../sandbox/toolchain';

const cache = mkdtempSync(path.join(os.tmpdir(), 's3-destination-tools-'));

beforeAll(() => {
  process.env['S3_DESTINATION_CACHE'] = cache;
});

afterAll(() => rmSync(cache, { recursive: true }));

const toolNamed = (name: string, install: (executable: string) => Promise<void>): Tool => ({
  name,
  version: '1',
  givenBy: 'NO_SUCH_TOOL',
  takesPath: false,
  needs: { program: 'true', args: [], what: 'nothing' },
  minutes: 'no time',
  executable: name,
  install: (folder) => install(path.join(folder, name)),
});

const writeExecutable = (file: string): void => writeFileSync(file, '#!/bin/sh\n', { mode: 0o755 });

const folderOf = (tool: Tool): string => path.join(cache, `${tool.name}-1-${process.platform}-${process.arch}`);

const marker = (tool: Tool): string => `${folderOf(tool)}.incomplete`;

test('two programs that need a tool at once install it once, and the second waits for the first', async () => {
  const { promise: built, resolve: build } = Promise.withResolvers<void>();
  let installs = 0;
  const tool = toolNamed('shared', async (executable) => {
    installs += 1;
    await built;
    writeExecutable(executable);
  });
  const said: string[] = [];
  const first = ensureTool(tool, () => {});
  const second = ensureTool(tool, (line) => said.push(line));
  build();
  const executable = path.join(folderOf(tool), 'shared');
  expect(await Promise.all([first, second])).toEqual([executable, executable]);
  expect(installs).toBe(1);
  expect(said).toEqual(['shared 1 is being installed by another program: waiting for it.']);
  expect(existsSync(marker(tool))).toBe(false);
});

test('who waited for an install that failed installs it', async () => {
  const { promise: broken, reject: fail } = Promise.withResolvers<never>();
  let installs = 0;
  const tool = toolNamed('flaky', async (executable) => {
    installs += 1;
    if (installs === 1) await broken;
    writeExecutable(executable);
  });
  const first = ensureTool(tool, () => {});
  const second = ensureTool(tool, () => {});
  fail(new Error('no network'));
  await expect(first).rejects.toThrow('Could not install flaky: no network');
  expect(await second).toBe(path.join(folderOf(tool), 'flaky'));
});

test('an install that was interrupted is begun anew, and what is left of it is not taken for the tool', async () => {
  const tool = toolNamed('interrupted', async (executable) => {
    expect(existsSync(executable)).toBe(false);
    writeExecutable(executable);
  });
  mkdirSync(folderOf(tool));
  writeExecutable(path.join(folderOf(tool), 'interrupted'));
  writeFileSync(marker(tool), '');
  const longAgo = new Date(Date.now() - 60_000);
  utimesSync(marker(tool), longAgo, longAgo);
  expect(findTool(tool)).toBeUndefined();
  expect(await ensureTool(tool, () => {})).toBe(path.join(folderOf(tool), 'interrupted'));
  expect(existsSync(marker(tool))).toBe(false);
});
