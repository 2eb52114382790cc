import { DecryptCommand, KMSClient } from '@aws-sdk/client-kms';
import type { WrappedKey } from '../codec/keys';
import { wrappingContext } from '../dump/policies';
import { payloadKeyFailure } from '../failures';
import { smallRequestTimeoutMs } from '../timing';

/** Wraps keys, and unwraps them for whom it knows. */
export interface KeyService {
  /** @throws PayloadKeyUnavailable */
  unwrap(key: WrappedKey): Promise<Buffer>;
}

/** AWS KMS, asked as the identity that the SDK's default chain finds, in the region of the key. */
export class KmsKeyService implements KeyService {
  private readonly clients = new Map<string, KMSClient>();

  async unwrap(key: WrappedKey): Promise<Buffer> {
    const { kmsKeyArn, wrapped } = key;
    try {
      const { Plaintext } = await this.clientOf(kmsKeyArn).send(
        // Without the key's name KMS would take any key that we may decrypt with.
        new DecryptCommand({ KeyId: kmsKeyArn, CiphertextBlob: wrapped, EncryptionContext: wrappingContext }),
      );
      return Buffer.from(Plaintext ?? []);
    } catch (error) {
      throw payloadKeyFailure(error, key);
    }
  }

  private clientOf(kmsKeyArn: string): KMSClient {
    const region = kmsKeyArn.split(':')[3] ?? '';
    const known = this.clients.get(region);
    if (known !== undefined) return known;
    const requestHandler = { requestTimeout: smallRequestTimeoutMs, throwOnRequestTimeout: true };
    const client = new KMSClient({ region, requestHandler });
    this.clients.set(region, client);
    return client;
  }
}
