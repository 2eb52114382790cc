/** Ours and rclone, each as a process of its own that copies one case and says what it took. */
import { compiled, start } from '../../sandbox/processes';
import { ensureTool, rclone } from '../../sandbox/toolchain';
import { tableFolder } from '../../src/dump/keys';
import type { Case } from './cases';
import { accessKeyId, customerBucket, secretAccessKey, type Servers } from './servers';
import { folder, settings } from './our-dump';
import { stagingBucket, stagingPrefixOf, tableOf } from './staged-data';
import type { Taken } from './taken';

export interface Scene {
  readonly servers: Servers;
  readonly stsUrl: string;
  readonly vendorRoleArn: string;
  readonly certificateFile: string | undefined;
  readonly quick: boolean;
  /** Where profiles of our process go; absent, none are made. */
  readonly profileFolder: string | undefined;
  readonly say: (line: string) => void;
}

/** The folder of the customer's bucket in which a contender's objects are. */
export const deliveredFolder = (contender: 'ours' | 'rclone', what: Case): string =>
  contender === 'ours' ? tableFolder(settings, folder, tableOf(what)) : `rclone/${what.name}`;

export async function runOurs(scene: Scene, what: Case): Promise<Taken> {
  const { servers, profileFolder } = scene;
  const profiling = profileFolder === undefined ? [] : ['--cpu-prof', '--cpu-prof-dir', profileFolder];
  const args = [...profiling, compiled('bench', 'copy', 'copier.js'), what.name, scene.quick ? 'quick' : 'full'];
  return takenBy(
    start('Our copier', process.execPath, args, {
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
      ...(scene.certificateFile === undefined ? {} : { NODE_EXTRA_CA_CERTS: scene.certificateFile }),
    }),
  );
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
    '--multi-thread-streams',
    '0',
  ];
  const args = ['copy', source, target, '--transfers', String(what.rcloneTransfers), ...lean, ...trust];
  const program = await ensureTool(rclone, scene.say);
  return takenBy(
    start('rclone', 'python3', ['-c', measuring, program, '--config', '/dev/null', ...args, '--retries', '1'], {}),
  );
}

async function takenBy(running: ReturnType<typeof start>): Promise<Taken> {
  const code = await running.exited;
  const last = running.output().trim().split('\n').at(-1) ?? '';
  if (code !== 0) throw new Error(`${running.name} ended with ${code}:\n${running.output()}`);
  return JSON.parse(last) as Taken;
}
