import { randomBytes } from 'node:crypto';
import { defaultPayloadConverter, type Payload } from '@temporalio/common';
import { PayloadKeys, type PayloadKey } from '../../src/codec/keys';
import { EncryptionCodec, RefusingCodec } from '../../src/codec/payload-codec';

const newKey = (id: string): PayloadKey => ({ id, bytes: randomBytes(32) });
const payloadOf = (value: unknown): Payload => {
  const payload = defaultPayloadConverter.toPayload(value);
  if (payload === undefined) throw new Error('There is no payload');
  return payload;
};
const first = ([payload]: Payload[]): Payload => {
  if (payload === undefined) throw new Error('There is no payload');
  return payload;
};
const valueOf = (payload: Payload): unknown => defaultPayloadConverter.fromPayload(payload);

const key = newKey('2026-11');
const codec = new EncryptionCodec(new PayloadKeys(key));
const settings = { bucket: 'acme-data-platform', tables: ['events'] };

test.each([settings, 'text', '', undefined, null, new Uint8Array([0, 255])])(
  '%j comes back as it was',
  async (value) => {
    const decoded = await codec.decode(await codec.encode([payloadOf(value)]));
    expect(valueOf(first(decoded))).toEqual(value);
  },
);

test('what is encrypted shows its encoding and the name of its key, nothing else', async () => {
  const encrypted = first(await codec.encode([payloadOf(settings)]));
  const metadata = Object.entries(encrypted.metadata ?? {}).map(([name, bytes]) => [
    name,
    Buffer.from(bytes).toString(),
  ]);
  expect(Object.fromEntries(metadata)).toEqual({ encoding: 'binary/encrypted', 'encryption-key-id': '2026-11' });
  const data = Buffer.from(encrypted.data ?? []).toString('latin1');
  for (const word of ['acme', 'events', 'json', 'bucket']) expect(data).not.toContain(word);
});

test('the same value is never encrypted to the same bytes', async () => {
  const encrypted = await codec.encode(Array.from({ length: 20 }, () => payloadOf(settings)));
  const beginnings = encrypted.map(({ data }) =>
    Buffer.from(data ?? [])
      .subarray(0, 12)
      .toString('hex'),
  );
  expect(new Set(beginnings).size).toBe(20);
});

test('one changed bit, wherever it is, and one missing byte are found', async () => {
  const encrypted = first(await codec.encode([payloadOf(settings)]));
  const data = Buffer.from(encrypted.data ?? []);
  for (let at = 0; at < data.length; at++) {
    const changed = Buffer.from(data);
    changed.writeUInt8(changed.readUInt8(at) ^ 1, at);
    await expect(codec.decode([{ ...encrypted, data: changed }])).rejects.toThrow("with the key '2026-11'");
  }
  for (const length of [0, 5, 12, 20, data.length - 1]) {
    await expect(codec.decode([{ ...encrypted, data: data.subarray(0, length) }])).rejects.toThrow(
      'cannot be decrypted',
    );
  }
});

test('a payload is bound to the name of its key: the same key by another name does not decrypt it', async () => {
  const renamed = new PayloadKeys(key, [{ ...key, id: 'renamed' }]);
  const encrypted = first(await codec.encode([payloadOf(settings)]));
  const relabelled = { ...encrypted, metadata: { ...encrypted.metadata, 'encryption-key-id': Buffer.from('renamed') } };
  await expect(new EncryptionCodec(renamed).decode([relabelled])).rejects.toThrow("with the key 'renamed'");
});

test('after a rotation the new key encrypts, and what the old one encrypted is still read', async () => {
  const next = newKey('2026-12');
  const rotated = new EncryptionCodec(new PayloadKeys(next, [key]));
  const [old, fresh] = [await codec.encode([payloadOf('old')]), await rotated.encode([payloadOf('new')])];
  expect((await rotated.decode([...old, ...fresh])).map(valueOf)).toEqual(['old', 'new']);
  // Whoever has not been given the new key yet says which one it is.
  await expect(codec.decode(fresh)).rejects.toThrow("the key '2026-12', which the key file does not hold");
});

test('payloads from before it was switched on stay as they are', async () => {
  const plain = [payloadOf(settings), { metadata: null, data: null }, {}];
  expect(await codec.decode(plain)).toEqual(plain);
});

test('no message holds a key, and a name from outside cannot disturb a log', async () => {
  const encrypted = first(await codec.encode([payloadOf(settings)]));
  const other = new EncryptionCodec(new PayloadKeys({ ...newKey('2026-11') }));
  const wrongKey: unknown = await other.decode([encrypted]).catch((error: unknown) => error);
  expect(JSON.stringify(wrongKey, Object.getOwnPropertyNames(wrongKey))).not.toContain(key.bytes.toString('base64'));
  const strange = {
    ...encrypted,
    metadata: { ...encrypted.metadata, 'encryption-key-id': Buffer.from('\u001b[31m\n') },
  };
  await expect(codec.decode([strange])).rejects.toThrow("with the key '??31m?', which");
});

describe('without keys', () => {
  const refusing = new RefusingCodec();

  test('payloads are plain, as Temporal writes them', async () => {
    const plain = [payloadOf(settings)];
    expect(await refusing.encode(plain)).toEqual(plain);
    expect(await refusing.decode(plain)).toEqual(plain);
  });

  test('an encrypted one is refused with what to set', async () => {
    await expect(refusing.decode(await codec.encode([payloadOf(settings)]))).rejects.toThrow(
      "Payloads are encrypted here, with the key '2026-11': set PAYLOAD_KEY_FILE to a file that holds it.",
    );
  });
});
