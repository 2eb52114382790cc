/** Where the shards come from and where they go: fake-gcs-server, versitygw, and an STS that hands out its keys. */
import { mkdirSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import type { Certificate } from '../../sandbox/certificate';
import { startCloudStorage } from '../../sandbox/cloud-storage';
import { freePort } from '../../sandbox/ports';
import { answers, start, untilReady, type Running } from '../../sandbox/processes';
import { ensureTool, versitygw } from '../../sandbox/toolchain';

export const customerBucket = 'bench-customer';
/** versitygw's accounts are named by their keys: so the bucket's owner is the account of the customer role. */
export const accessKeyId = '111122223333';
export const secretAccessKey = 'bench-secret';

export interface Servers {
  readonly storageUrl: string;
  readonly s3Url: string;
  /** CPU-seconds that both have used so far; undefined where the system does not tell. */
  cpuSeconds(): number | undefined;
  stop(): Promise<void>;
}

export const gcsFolder = (folder: string): string => path.join(folder, 'gcs');
export const s3Folder = (folder: string): string => path.join(folder, 's3');

/** @param certificate absent, the servers speak plain HTTP */
export async function startServers(
  folder: string,
  certificate: Certificate | undefined,
  cpuSecondsOf: (pid: number) => number | undefined,
  say: (line: string) => void,
): Promise<Servers> {
  const storage = await startCloudStorage({ port: await freePort(), folder: gcsFolder(folder), certificate, say });
  const s3 = await startS3(s3Folder(folder), certificate, say);
  return {
    storageUrl: storage.url,
    s3Url: s3.url,
    cpuSeconds: () => {
      const [ofStorage, ofS3] = [cpuSecondsOf(storage.pid), cpuSecondsOf(s3.pid)];
      return ofStorage === undefined || ofS3 === undefined ? undefined : ofStorage + ofS3;
    },
    async stop() {
      await storage.stop();
      await s3.stop();
    },
  };
}

async function startS3(
  folder: string,
  certificate: Certificate | undefined,
  say: (line: string) => void,
): Promise<Running & { readonly url: string }> {
  mkdirSync(path.join(folder, customerBucket), { recursive: true });
  const port = await freePort();
  const tls = certificate === undefined ? [] : ['--cert', certificate.certificateFile, '--key', certificate.keyFile];
  const keys = ['--access', accessKeyId, '--secret', secretAccessKey];
  const running = start(
    'S3 (versitygw)',
    await ensureTool(versitygw, say),
    ['--port', `127.0.0.1:${port}`, '--quiet', '--noacl', '--keep-alive', ...keys, ...tls, 'posix', folder],
    {},
  );
  const url = `${certificate === undefined ? 'http' : 'https'}://127.0.0.1:${port}`;
  await untilReady(running, answers(url));
  return { ...running, url };
}

export interface Sts {
  readonly url: string;
  stop(): Promise<void>;
}

/** Answers as STS does where the worker already is the vendor role; every session is versitygw's own keys. */
export async function startSts(vendorRoleArn: string): Promise<Sts> {
  const [, , , , account = '', role = ''] = vendorRoleArn.split(':');
  const session = `arn:aws:sts::${account}:assumed-${role}/bench`;
  const server = http.createServer((request, response) => {
    let form = '';
    request.on('data', (data: Buffer) => (form += data.toString()));
    request.on('end', () => {
      const action = new URLSearchParams(form).get('Action') ?? '';
      const result =
        action === 'AssumeRole'
          ? `<Credentials><AccessKeyId>${accessKeyId}</AccessKeyId><SecretAccessKey>${secretAccessKey}</SecretAccessKey>
<SessionToken>bench</SessionToken><Expiration>${new Date(Date.now() + 3_600_000).toISOString()}</Expiration></Credentials>
<AssumedRoleUser><Arn>${session}</Arn><AssumedRoleId>A:bench</AssumedRoleId></AssumedRoleUser>`
          : `<Arn>${session}</Arn><UserId>A:bench</UserId><Account>${account}</Account>`;
      response.setHeader('content-type', 'text/xml');
      response.end(`<${action}Response><${action}Result>${result}</${action}Result></${action}Response>`);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop: () => new Promise((resolve) => void server.close(() => resolve())),
  };
}
