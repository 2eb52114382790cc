import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { copyProcesses, CopyProcess, type CopyProcessOptions } from '../src/copy-processes';
import { InvalidInput } from '../src/dump/inputs';
import { eventually } from './eventually';

/** Writes its pid, flags and setting into a line of a file; works until it is let go of, or ends at once. */
const program = `
const { appendFileSync } = require('node:fs');
const [file, how] = process.argv.slice(2);
appendFileSync(file, JSON.stringify({ pid: process.pid, flags: process.execArgv, memoryMB: process.env.COPY_MEMORY_MB }) + '\\n');
if (how === 'end') process.exit(1);
if (how === 'fail for good') process.exit(3);
process.once('disconnect', () => { appendFileSync(file, JSON.stringify({ ended: process.pid }) + '\\n'); });
`;

interface Line {
  readonly pid?: number;
  readonly ended?: number;
  readonly flags?: string[];
  readonly memoryMB?: string;
}

let folder: string;
let file: string;
let running: { processes: readonly CopyProcess[]; ended: Promise<unknown>; warnings: string[] };

beforeEach(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'copy-processes-'));
  file = path.join(folder, 'lines');
  writeFileSync(file, '');
  writeFileSync(path.join(folder, 'program.js'), program);
});
afterEach(async () => {
  stop();
  await running.ended;
  rmSync(folder, { recursive: true });
});

function run(count: number, how: 'work' | 'end' | 'fail for good', restartMs: readonly number[]): void {
  const warnings: string[] = [];
  const processes = copyProcesses(
    count,
    options([file, how], { restartMs, warn: (message) => void warnings.push(message) }),
  );
  running = { processes, ended: Promise.allSettled(processes.map((process) => process.run())), warnings };
}

const options = (args: readonly string[], others: Partial<CopyProcessOptions> = {}): CopyProcessOptions => ({
  program: path.join(folder, 'program.js'),
  args,
  environment: { ...process.env, STAGING_BUCKETS: 'EU=acme-staging-eu', COPY_MEMORY_MB: '300' },
  warn: () => {},
  ...others,
});

function stop(): void {
  for (const process of running.processes) process.stop();
}

const lines = (): Line[] =>
  readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Line);
const pids = (): number[] => lines().flatMap(({ pid }) => pid ?? []);
const pidsWhen = (count: number): Promise<number[]> =>
  eventually(
    async () => pids(),
    (found) => found.length >= count,
    20_000,
  );

test('as many as were asked for run side by side, with their share of the settings and a small young generation', async () => {
  run(3, 'work', [0]);
  expect(new Set(await pidsWhen(3)).size).toBe(3);
  for (const { memoryMB, flags } of lines()) {
    expect(Number(memoryMB)).toBe(100);
    expect(flags).toContain('--max-semi-space-size=4');
  }
});

test('one that is killed is started again, and the others go on', async () => {
  run(2, 'work', [0]);
  const [killed = 0, other] = await pidsWhen(2);
  process.kill(killed, 'SIGKILL');
  const [, , again] = await pidsWhen(3);
  expect(new Set([killed, other, again]).size).toBe(3);
  expect(running.warnings).toEqual(['A copying process ended (SIGKILL); it is started again in 0 s']);
});

test('one that ends again and again is started less and less often', async () => {
  run(1, 'end', [0, 10, 20]);
  await pidsWhen(5);
  expect(running.warnings.slice(0, 4).map((warning) => / in (\S+) s$/.exec(warning)?.[1])).toEqual([
    '0',
    '0.01',
    '0.02',
    '0.02',
  ]);
  expect(running.warnings[0]).toContain('exit code 1');
});

test('when they are told to stop they end by themselves, and none is started again', async () => {
  run(2, 'work', [0]);
  await pidsWhen(2);
  stop();
  await running.ended;
  expect(new Set(lines().flatMap(({ ended }) => ended ?? []))).toEqual(new Set(pids()));
  expect(running.warnings).toEqual([]);
});

test('who waits to be started again does not hold up the end', async () => {
  run(1, 'end', [3_600_000]);
  await eventually(
    async () => running.warnings.length,
    (count) => count === 1,
    20_000,
  );
  stop();
  await running.ended;
  expect(pids()).toHaveLength(1);
});

test('one whose work failed for good is not started again, and says so', async () => {
  run(1, 'fail for good', [0]);
  expect(await running.ended).toEqual([
    { status: 'rejected', reason: new Error('A copying process has failed: the log says why.') },
  ]);
  expect(pids()).toHaveLength(1);
  expect(running.warnings).toEqual([]);
});

test('one that the system does not start is tried again', async () => {
  const warnings: string[] = [];
  const { promise: warned, resolve } = Promise.withResolvers<void>();
  const warn = (message: string): void => {
    if (warnings.push(message) === 2) resolve();
  };
  // A null byte is refused at once, as want of memory is.
  const process = new CopyProcess(options(['a\0b'], { restartMs: [0], warn }));
  running = { processes: [process], ended: process.run(), warnings };
  await warned;
  expect(warnings[1]).toMatch(/^A copying process ended \(.*null bytes.*\); it is started again in 0 s$/);
});

test('memory that does not hold a shard for each is refused before any is started', () => {
  expect(() => copyProcesses(300, options([]))).toThrow(InvalidInput);
  expect(() => copyProcesses(300, options([]))).toThrow(/^COPY_MEMORY_MB leaves 1 MB to a process that copies/);
});
