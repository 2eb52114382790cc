/** One copying process: the worker's own activity and stores, called without Temporal. Prints what it took as JSON. */
import { MockActivityEnvironment } from '@temporalio/testing';
import { SignatureV4 } from '@smithy/signature-v4';
import { createCopyActivities } from '../../src/activities';
import { dumpWorkflowId, type Copied } from '../../src/contract';
import { shardRanges } from '../../src/dump/keys';
import { inLanes } from '../../src/dump/lanes';
import { readWorkerConfig } from '../../src/config';
import { createDeps } from '../../src/workers';
import { fullCases, quickCases } from './cases';
import { accountId, folder, settings } from './our-dump';
import { stagingBucket, stagingPrefixOf, tableOf } from './staged-data';
import type { CopierTaken } from './taken';

/** versitygw has keys and no sessions: requests are signed without the session's token, and nothing else differs. */
function forgetSessionTokens(): void {
  const sign = Reflect.get(SignatureV4.prototype, 'sign') as (...args: unknown[]) => unknown;
  Object.assign(SignatureV4.prototype, {
    sign(this: { credentialProvider: () => Promise<Session> }, ...args: unknown[]) {
      const credentialProvider = async (): Promise<Session> => {
        const { sessionToken: _forgotten, ...keys } = await this.credentialProvider();
        return keys;
      };
      const signer: unknown = Object.assign(Object.create(this), { credentialProvider });
      return Reflect.apply(sign, signer, args);
    },
  });
}

interface Session {
  readonly sessionToken?: string;
}

const newEnvironment = (): MockActivityEnvironment =>
  new MockActivityEnvironment({
    workflowExecution: { workflowId: dumpWorkflowId(accountId, folder), runId: 'bench' },
  });

/** Copies every `count`th range, from the one with the number `index` on. */
async function main(name: string, quick: boolean, index: number, count: number): Promise<CopierTaken> {
  forgetSessionTokens();
  const what = (quick ? quickCases : fullCases).find((each) => each.name === name);
  if (what === undefined) throw new Error(`There is no case ${name}.`);
  const config = readWorkerConfig();
  const { copyShards } = createCopyActivities(createDeps(config));
  const { shards: shardCount, shardBytes } = what;
  const ranges = shardRanges(shardCount).filter((_range, number) => number % count === index);
  const sizeBytes = ranges.reduce((sum, range) => sum + range.count, 0) * shardBytes;
  const staged = {
    stagingBucket,
    stagingPrefix: stagingPrefixOf(what),
    shardCount,
    sizeBytes: shardCount * shardBytes,
  };
  const cpuBefore = process.cpuUsage();
  const startedMs = Date.now();
  const table = tableOf(what);
  let copiedBytes = 0;
  // As many ranges side by side as a worker takes, each an activity. Of one table a dump asks for fewer at a time.
  await inLanes(ranges, config.copyActivities, async (range) => {
    const copied: Copied = await newEnvironment().run(copyShards, { settings, table, staged, range, doneShards: [] });
    copiedBytes += copied.bytes;
  });
  const { user, system } = process.cpuUsage(cpuBefore);
  if (copiedBytes !== sizeBytes) throw new Error(`copyShards says ${copiedBytes} bytes and there were ${sizeBytes}.`);
  return {
    startedMs,
    endedMs: Date.now(),
    cpuSeconds: (user + system) / 1e6,
    peakRssBytes: process.resourceUsage().maxRSS * 1024,
  };
}

const [name = '', size, index, count] = process.argv.slice(2);
main(name, size === 'quick', Number(index), Number(count)).then(
  (taken) => console.log(JSON.stringify(taken)),
  (error: unknown) => {
    console.error(error);
    process.exitCode = 1;
  },
);
