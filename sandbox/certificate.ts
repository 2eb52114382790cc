import path from 'node:path';
import { run, SandboxError } from './toolchain';

export interface Certificate {
  readonly certificateFile: string;
  readonly keyFile: string;
}

/** A certificate of our own for 127.0.0.1, which clients are told to trust. */
export async function createCertificate(folder: string): Promise<Certificate> {
  const certificate = { certificateFile: path.join(folder, 'cert.pem'), keyFile: path.join(folder, 'key.pem') };
  const names = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', certificate.keyFile];
  try {
    await run('openssl', ['req', '-x509', '-days', '2', ...key, ...names, '-out', certificate.certificateFile]);
  } catch (error) {
    throw new SandboxError(`A certificate is made with openssl: install that. ${(error as Error).message}`);
  }
  return certificate;
}
