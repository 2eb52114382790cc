import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { ValueError, type Payload, type PayloadCodec } from '@temporalio/common';
import { temporal } from '@temporalio/proto';
import type { PayloadKeys } from './keys';

const { Payload: PayloadMessage } = temporal.api.common.v1;

const cipher = 'aes-256-gcm';
/** NIST SP 800-38D, 8.2.2: 96 random bits for each message, at most 2^32 messages to a key. */
const ivBytes = 12;
const tagBytes = 16;

/** As Temporal's own samples name them. */
const encodingKey = 'encoding';
const keyIdKey = 'encryption-key-id';
const encryptedEncoding = 'binary/encrypted';

/** Encrypts payloads with the current key, and decrypts those of any key. Others, written while it was off, stay as they are. */
export class EncryptionCodec implements PayloadCodec {
  constructor(private readonly keys: PayloadKeys) {}

  async encode(payloads: Payload[]): Promise<Payload[]> {
    return payloads.map((payload) => this.encrypt(payload));
  }

  async decode(payloads: Payload[]): Promise<Payload[]> {
    return payloads.map((payload) => (isEncrypted(payload) ? this.decrypt(payload) : payload));
  }

  private encrypt(payload: Payload): Payload {
    const { id, bytes } = this.keys.current;
    const iv = randomBytes(ivBytes);
    const encryption = createCipheriv(cipher, bytes, iv).setAAD(boundTo(id));
    const sealed = [iv, encryption.update(PayloadMessage.encode(payload).finish()), encryption.final()];
    return {
      metadata: { [encodingKey]: Buffer.from(encryptedEncoding), [keyIdKey]: Buffer.from(id) },
      data: Buffer.concat([...sealed, encryption.getAuthTag()]),
    };
  }

  private decrypt(payload: Payload): Payload {
    const id = keyIdOf(payload);
    const key = this.keys.find(id);
    if (key === undefined) {
      throw new ValueError(
        `A payload is encrypted with the key '${id}', which the key file does not hold: add it there.`,
      );
    }
    const data = Buffer.from(payload.data ?? []);
    const sealedEnd = data.length - tagBytes;
    try {
      const decryption = createDecipheriv(cipher, key.bytes, data.subarray(0, ivBytes), { authTagLength: tagBytes })
        .setAAD(boundTo(id))
        .setAuthTag(data.subarray(Math.max(sealedEnd, 0)));
      const plain = Buffer.concat([decryption.update(data.subarray(ivBytes, sealedEnd)), decryption.final()]);
      return PayloadMessage.decode(plain);
    } catch (error) {
      throw new ValueError(
        `A payload cannot be decrypted with the key '${id}': either the key file holds another key by that name, or the payload was changed.`,
        error,
      );
    }
  }
}

/** Stands where there are no keys: says what is missing as soon as an encrypted payload comes by. */
export class RefusingCodec implements PayloadCodec {
  async encode(payloads: Payload[]): Promise<Payload[]> {
    return payloads;
  }

  async decode(payloads: Payload[]): Promise<Payload[]> {
    const encrypted = payloads.find(isEncrypted);
    if (encrypted === undefined) return payloads;
    throw new ValueError(
      `Payloads are encrypted here, with the key '${keyIdOf(encrypted)}': set PAYLOAD_KEY_FILE to a file that holds it.`,
    );
  }
}

const isEncrypted = ({ metadata }: Payload): boolean => textOf(metadata?.[encodingKey]) === encryptedEncoding;

/** Comes from outside and is shown. */
const keyIdOf = ({ metadata }: Payload): string =>
  textOf(metadata?.[keyIdKey])
    .replace(/[^\w.-]/g, '?')
    .slice(0, 64);

const textOf = (bytes: Uint8Array | null | undefined): string => Buffer.from(bytes ?? []).toString();

/** A payload cannot be passed off as one of another key or of another format. */
const boundTo = (keyId: string): Buffer => Buffer.from(`s3-destination payload 1 ${keyId}`);
