import type { Certificate } from './certificate';
import { answers, start, untilReady, type Running } from './processes';
import { ensureTool, fakeGcsServer } from './toolchain';

export interface CloudStorageOptions {
  readonly port: number;
  /** Where its files are kept. */
  readonly folder: string;
  /** Absent, it speaks plain HTTP. */
  readonly certificate?: Certificate | undefined;
  readonly say: (line: string) => void;
}

export async function startCloudStorage(options: CloudStorageOptions): Promise<Running & { readonly url: string }> {
  const { port, folder, certificate, say } = options;
  const scheme = certificate === undefined ? 'http' : 'https';
  const url = `${scheme}://127.0.0.1:${port}`;
  const where = ['-host', '127.0.0.1', '-port', String(port), '-filesystem-root', folder];
  const named = ['-external-url', url, '-public-host', `127.0.0.1:${port}`];
  const tls =
    certificate === undefined
      ? []
      : ['-cert-location', certificate.certificateFile, '-private-key-location', certificate.keyFile];
  const running = start(
    'The Cloud Storage stand-in (fake-gcs-server)',
    await ensureTool(fakeGcsServer, say),
    ['-scheme', scheme, ...where, ...named, '-log-level', 'warn', ...tls],
    { GOMEMLIMIT: '512MiB', GOGC: '50' },
  );
  await untilReady(running, answers(`${url}/_internal/healthcheck`));
  return { ...running, url };
}
