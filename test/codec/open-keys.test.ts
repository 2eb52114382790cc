import { randomBytes } from 'node:crypto';
import { PayloadKeyUnavailable, parseKeyFile, type WrappedKey } from '../../src/codec/keys';
import { KeyOpener } from '../../src/codec/open-keys';
import type { KeyService } from '../../src/stores/key-service';

const kmsKeyArn = 'arn:aws:kms:eu-west-1:485801740390:key/1234abcd-12ab-34cd-56ef-1234567890ab';
const [old, next] = [randomBytes(32), randomBytes(32)];
const plainLine = `2026-11 ${old.toString('base64')}\n`;
const wrappedLine = (id: string, wrapped: string, arn = kmsKeyArn): string =>
  `${id} ${arn} ${Buffer.from(wrapped).toString('base64')}\n`;

/** Unwraps what it was given, by what it is wrapped as. */
class FakeKeyService implements KeyService {
  readonly asked: string[] = [];
  isDown = false;

  constructor(private readonly keys: Readonly<Record<string, Buffer>>) {}

  async unwrap({ wrapped }: WrappedKey): Promise<Buffer> {
    const name = wrapped.toString();
    this.asked.push(name);
    const key = this.keys[name];
    if (this.isDown || key === undefined) throw new PayloadKeyUnavailable(`KMS does not give ${name}`);
    return key;
  }
}

function openerWith(keys: Readonly<Record<string, Buffer>>) {
  const service = new FakeKeyService(keys);
  const connect = jest.fn(() => service);
  return { service, connect, opener: new KeyOpener(connect) };
}

test('keys as they are and wrapped keys stand in one file, and the first is the current one', async () => {
  const { opener } = openerWith({ 'wrapped next': next });
  const keys = await opener.open(parseKeyFile(wrappedLine('2026-12', 'wrapped next') + plainLine));
  expect(keys.current).toEqual({ id: '2026-12', bytes: next });
  expect(keys.find('2026-11')?.bytes).toEqual(old);
});

test('a file without wrapped keys needs no key service, not even a connection', async () => {
  const { opener, connect } = openerWith({});
  expect((await opener.open(parseKeyFile(plainLine))).current.bytes).toEqual(old);
  expect(connect).not.toHaveBeenCalled();
});

test('a key is unwrapped once: the file opens again while the key service is down', async () => {
  const { opener, service } = openerWith({ 'wrapped old': old, 'wrapped next': next });
  await opener.open(parseKeyFile(wrappedLine('2026-11', 'wrapped old')));
  const rotated = wrappedLine('2026-12', 'wrapped next') + wrappedLine('2026-11', 'wrapped old');
  await opener.open(parseKeyFile(rotated));
  service.isDown = true;
  expect((await opener.open(parseKeyFile(rotated))).current.bytes).toEqual(next);
  expect(service.asked).toEqual(['wrapped old', 'wrapped next']);
});

test('whoever opens it at the same time shares the answer', async () => {
  const { opener, service } = openerWith({ 'wrapped next': next });
  const file = parseKeyFile(wrappedLine('2026-12', 'wrapped next'));
  const opened = await Promise.all([opener.open(file), opener.open(file)]);
  expect(opened.map(({ current }) => current.bytes)).toEqual([next, next]);
  expect(service.asked).toHaveLength(1);
});

test('what failed is asked for again', async () => {
  const { opener, service } = openerWith({ 'wrapped next': next });
  const file = parseKeyFile(wrappedLine('2026-12', 'wrapped next'));
  service.isDown = true;
  await expect(opener.open(file)).rejects.toThrow('KMS does not give wrapped next');
  service.isDown = false;
  expect((await opener.open(file)).current.bytes).toEqual(next);
});

test('one key that is refused is enough: what it encrypted could not be read', async () => {
  const { opener } = openerWith({ 'wrapped next': next });
  const file = parseKeyFile(wrappedLine('2026-12', 'wrapped next') + wrappedLine('2026-11', 'wrapped old'));
  await expect(opener.open(file)).rejects.toThrow(PayloadKeyUnavailable);
});

test('a key that is not of AES-256 is refused, and not shown', async () => {
  const short = randomBytes(16);
  const { opener } = openerWith({ short });
  const opened = opener.open(parseKeyFile(wrappedLine('2026-12', 'short')));
  await expect(opened).rejects.toThrow(PayloadKeyUnavailable);
  await expect(opened).rejects.toThrow(
    "The payload key '2026-12' has 16 bytes instead of 32: make one with --key-spec AES_256.",
  );
});
