/** Decrypts payloads for the Temporal UI and CLI: `node lib/src/codec-server.js`. Ends on SIGTERM or SIGINT. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { PayloadKeyUnavailable } from './codec/keys';
import { openKeys } from './codec/open-keys';
import { EncryptionCodec } from './codec/payload-codec';
import { createCodecServer } from './codec/server';
import { readCodecServerConfig } from './config';
import { InvalidInput } from './dump/inputs';

async function main(): Promise<void> {
  const { keyFile, ...settings } = readCodecServerConfig();
  const server = createCodecServer(settings, new EncryptionCodec(await openKeys(keyFile)));
  server.listen(settings.port, settings.host);
  await once(server, 'listening');
  const { address, port } = server.address() as AddressInfo;
  console.log(`The codec server listens at ${address}:${port}, for ${settings.origin}.`);
  const stop = (): void => {
    server.close();
    server.closeAllConnections();
  };
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
}

main().catch((error: unknown) => {
  console.error(error instanceof InvalidInput || error instanceof PayloadKeyUnavailable ? error.message : error);
  process.exitCode = 1;
});
