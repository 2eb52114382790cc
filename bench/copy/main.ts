/** `npm run bench:copy`: our copy against rclone's, the same shards between the same servers, in turn. */
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createCertificate, type Certificate } from '../../sandbox/certificate';
import { run } from '../../sandbox/toolchain';
import { runToEnd } from '../../sandbox/arguments';
import { cpuSecondsOf } from '../cpu-seconds';
import { caseBytes, fullCases, quickCases, type Case } from './cases';
import { readOptions, usage, type BenchOptions } from './options';
import { deliveredFolder, runOurs, runRclone, type Scene } from './contenders';
import { checkAndRemove } from './delivered';
import { startServers, startSts } from './servers';
import { stageShards } from './staged-data';
import { headOfTable, rowsOfTable } from './table';
import { ratiosOf, type Ratios, type Round, type TakenInRound } from './taken';

const vendorRoleArn = 'arn:aws:iam::999988887777:role/bench-vendor';

type ByCase = Partial<Record<Case['name'], Ratios>>;

interface Bench extends Pick<Scene, 'stsUrl' | 'quick' | 'processes' | 'profileFolder' | 'settings'> {
  readonly folder: string;
  readonly cases: readonly Case[];
}

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2));
  if (options === 'help') {
    console.log(usage);
    return;
  }
  console.log(JSON.stringify(await measure(options)));
}

async function measure(options: BenchOptions): Promise<Record<BenchOptions['transports'][number], ByCase>> {
  const { quick, only, transports, processes, profileFolder, settings } = options;
  const cases = (quick ? quickCases : fullCases).filter(({ name }) => only.includes(name));
  const folder = mkdtempSync(path.join(os.tmpdir(), 's3-destination-bench-'));
  const sts = await startSts(vendorRoleArn);
  try {
    const scene = { folder, cases, stsUrl: sts.url, quick, processes, profileFolder, settings };
    const certificate = await createCertificate(folder);
    await stage(scene);
    console.log(
      `\n${os.availableParallelism()} cores, which the two servers share; ${processes} copying processes of ours. Medians of rounds, ours and rclone in turn.\n`,
    );
    console.log(headOfTable());
    const plain = transports.includes('plain') ? await compare(scene, undefined) : {};
    const tls = transports.includes('tls') ? await compare(scene, certificate) : {};
    return { tls, plain };
  } finally {
    await sts.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function stage({ folder, cases }: Bench): Promise<void> {
  const bytes = cases.reduce((sum, each) => sum + caseBytes(each), 0);
  say(`Staging ${(bytes / 1e9).toFixed(1)} GB …`);
  const servers = await startServers(folder, undefined, cpuSecondsOf, say);
  try {
    await stageShards(servers.storageUrl, cases);
  } finally {
    await servers.stop();
  }
  // Or the disk would still be busy with it while the first copies are measured.
  await run('sync', []);
}

async function compare(bench: Bench, certificate: Certificate | undefined): Promise<ByCase> {
  const { folder, cases } = bench;
  const servers = await startServers(folder, certificate, cpuSecondsOf, say);
  try {
    const certificateFile = certificate?.certificateFile;
    const scene = { ...bench, servers, vendorRoleArn, certificateFile, say };
    const byCase: ByCase = {};
    for (const what of cases) {
      const rounds: Round[] = [];
      for (let round = 0; round < what.rounds; round += 1) rounds.push(await runRound(folder, scene, what));
      byCase[what.name] = ratiosOf(rounds);
      console.log(rowsOfTable(certificate === undefined ? 'plain' : 'TLS', what, rounds, os.availableParallelism()));
    }
    return byCase;
  } finally {
    await servers.stop();
  }
}

async function runRound(folder: string, scene: Scene, what: Case): Promise<Round> {
  const taken = async (contender: 'ours' | 'rclone', copy: typeof runOurs): Promise<TakenInRound> => {
    const before = scene.servers.cpuSeconds();
    const measured = await copy(scene, what);
    const after = scene.servers.cpuSeconds();
    await checkAndRemove(folder, what, deliveredFolder(contender, what));
    return { ...measured, serversCpuSeconds: before === undefined || after === undefined ? undefined : after - before };
  };
  return { ours: await taken('ours', runOurs), rclone: await taken('rclone', runRclone) };
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

runToEnd(main);
