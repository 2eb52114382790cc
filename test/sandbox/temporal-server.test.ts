import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { startDevServer } from '../../sandbox/temporal-server';
import { ensureTool, temporalCli } from '../../sandbox/toolchain';

let folder: string;
const before = process.env[temporalCli.givenBy];

beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'late-server-'));
});

afterEach(async () => {
  if (before === undefined) delete process.env[temporalCli.givenBy];
  else process.env[temporalCli.givenBy] = before;
  await rm(folder, { recursive: true });
});

/** Writes down each start, and begins with this. */
async function giveServer(beginsWith: string): Promise<() => Promise<number>> {
  const program = await ensureTool(temporalCli, () => {});
  const starts = path.join(folder, 'starts');
  const script = `#!/bin/sh\necho started >> '${starts}'\n${beginsWith}\nexec '${program}' "$@"\n`;
  const file = path.join(folder, 'temporal');
  await writeFile(file, script, { mode: 0o755 });
  process.env[temporalCli.givenBy] = file;
  return async () => (await readFile(starts, 'utf8')).trim().split('\n').length;
}

test('a server that does not answer in time is started again', async () => {
  const starts = await giveServer(`[ -e '${folder}/late' ] || { touch '${folder}/late'; exec sleep 60; }`);
  const said: string[] = [];
  const environment = await startDevServer((line) => said.push(line));
  try {
    expect(await starts()).toBeGreaterThanOrEqual(2);
    expect(said[0]).toBe('temporal did not answer within 5 s and is started again.');
    await expect(environment.connection.workflowService.getSystemInfo({})).resolves.toBeDefined();
  } finally {
    await environment.teardown();
  }
});

test('a server that never answers is given up', async () => {
  const starts = await giveServer('exec sleep 60');
  await expect(startDevServer(() => {})).rejects.toThrow('did not start within');
  expect(await starts()).toBe(4);
});
