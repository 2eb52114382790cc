/** Ours and rclone, each as a process of its own that copies one case and says what it took. */
import { compiled, start, type Running as ProgramRunning } from '../../sandbox/processes';
import { ensureTool, rclone } from '../../sandbox/toolchain';
import { copyingFlags } from '../../src/copy-processes';
import { shardRanges, tableFolder } from '../../src/dump/keys';
import type { Case } from './cases';
import { accessKeyId, customerBucket, secretAccessKey, type Servers } from './servers';
import { folder, settings } from './our-dump';
import { stagingBucket, stagingPrefixOf, tableOf } from './staged-data';
import type { CopierTaken, Taken } from './taken';

export interface Scene {
  readonly servers: Servers;
  readonly stsUrl: string;
  readonly vendorRoleArn: string;
  readonly certificateFile: string | undefined;
  readonly quick: boolean;
  /** Copying processes of ours. */
  readonly processes: number;
  /** Settings of the worker that are to be tried, by their variables. */
  readonly settings: Readonly<Record<string, string>>;
  /** Where profiles of our process go; absent, none are made. */
  readonly profileFolder: string | undefined;
  readonly say: (line: string) => void;
}

/** The folder of the customer's bucket in which a contender's objects are. */
export const deliveredFolder = (contender: 'ours' | 'rclone', what: Case): string =>
  contender === 'ours' ? tableFolder(settings, folder, tableOf(what)) : `rclone/${what.name}`;

/** As many copying processes as a worker has, sharing the ranges as they share a task queue. */
export async function runOurs(scene: Scene, what: Case): Promise<Taken> {
  const count = Math.min(scene.processes, shardRanges(what.shards).length);
  const copied = await Promise.all(
    Array.from({ length: count }, (_, index) => answerOf<CopierTaken>(startCopier(scene, what, index, count))),
  );
  const endedMs = Math.max(...copied.map((each) => each.endedMs));
  return {
    seconds: (endedMs - Math.min(...copied.map((each) => each.startedMs))) / 1000,
    cpuSeconds: copied.reduce((sum, each) => sum + each.cpuSeconds, 0),
    peakRssBytes: Math.max(...copied.map((each) => each.peakRssBytes)),
  };
}

function startCopier(scene: Scene, what: Case, index: number, count: number): ProgramRunning {
  const { servers, profileFolder } = scene;
  const profiling = profileFolder === undefined ? [] : ['--cpu-prof', '--cpu-prof-dir', profileFolder];
  const copier = compiled('bench', 'copy', 'copier.js');
  const args = [what.name, scene.quick ? 'quick' : 'full', String(index), String(count)];
  return start('Our copier', process.execPath, [...copyingFlags, ...profiling, copier, ...args], {
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
    AWS_ENDPOINT_URL_S3: servers.s3Url,
    AWS_ENDPOINT_URL_STS: scene.stsUrl,
    AWS_EC2_METADATA_DISABLED: 'true',
    VENDOR_ROLE_ARN: scene.vendorRoleArn,
    S3_FORCE_PATH_STYLE: 'true',
    STAGING_BUCKETS: `EU=${stagingBucket}`,
    STORAGE_ENDPOINT: servers.storageUrl,
    GOOGLE_CLOUD_PROJECT: 'bench',
    ...scene.settings,
    ...(scene.certificateFile === undefined ? {} : { NODE_EXTRA_CA_CERTS: scene.certificateFile }),
  });
}

/** Runs what its arguments say and prints as JSON what that took, by the system's own account. */
const measuring = `
import json, resource, subprocess, sys, time
started = time.monotonic()
code = subprocess.call(sys.argv[1:])
seconds = time.monotonic() - started
used = resource.getrusage(resource.RUSAGE_CHILDREN)
unit = 1 if sys.platform == 'darwin' else 1024
print(json.dumps({'seconds': seconds, 'cpuSeconds': used.ru_utime + used.ru_stime, 'peakRssBytes': used.ru_maxrss * unit}))
sys.exit(code)
`;

export async function runRclone(scene: Scene, what: Case): Promise<Taken> {
  const { storageUrl, s3Url } = scene.servers;
  const source = `:gcs,anonymous=true,endpoint='${storageUrl}/storage/v1/':${stagingBucket}/${stagingPrefixOf(what)}`;
  const keys = `access_key_id=${accessKeyId},secret_access_key=${secretAccessKey}`;
  const target = `:s3,provider=Other,${keys},endpoint='${s3Url}',force_path_style=true:${customerBucket}/${deliveredFolder('rclone', what)}`;
  const trust = scene.certificateFile === undefined ? [] : ['--ca-cert', scene.certificateFile];
  // The fewest requests and checks that rclone can be told to make: none of them are needed here.
  const lean = [
    '--s3-upload-cutoff',
    '5G',
    '--s3-disable-checksum',
    '--s3-no-check-bucket',
    '--s3-no-head',
    '--no-check-dest',
    '--ignore-checksum',
    '--multi-thread-streams',
    '0',
  ];
  const args = ['copy', source, target, '--transfers', String(what.rcloneTransfers), ...lean, ...trust];
  const program = await ensureTool(rclone, scene.say);
  return answerOf<Taken>(
    start('rclone', 'python3', ['-c', measuring, program, '--config', '/dev/null', ...args, '--retries', '1'], {}),
  );
}

/** The last line that it prints, as JSON. */
async function answerOf<T>(running: ProgramRunning): Promise<T> {
  const code = await running.exited;
  const last = running.output().trim().split('\n').at(-1) ?? '';
  if (code !== 0) throw new Error(`${running.name} ended with ${code}:\n${running.output()}`);
  return JSON.parse(last) as T;
}
