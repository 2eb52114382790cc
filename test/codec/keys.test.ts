import { randomBytes } from 'node:crypto';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { parseKeyFile, readKeyFile } from '../../src/codec/keys';
import { readPayloadKeyFile } from '../../src/config';
import { InvalidInput } from '../../src/dump/inputs';

const [one, two] = [randomBytes(32).toString('base64'), randomBytes(32).toString('base64')];
const kmsKeyArn = 'arn:aws:kms:eu-west-1:485801740390:key/1234abcd-12ab-34cd-56ef-1234567890ab';
const wrapped = randomBytes(184).toString('base64');

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'keys-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function fileOf(text: string, mode: number): Promise<string> {
  const file = path.join(folder, `keys-${mode.toString(8)}`);
  await writeFile(file, text);
  await chmod(file, mode);
  return file;
}

test('a line is a key, as it is or as KMS has wrapped it, and the first stays the first', () => {
  const text = `# newest first\n2026-12 ${kmsKeyArn}\t${wrapped}\n\n  2026-11\t${one}  \r\n`;
  expect(parseKeyFile(text)).toEqual([
    { id: '2026-12', kmsKeyArn, wrapped: Buffer.from(wrapped, 'base64') },
    { id: '2026-11', bytes: Buffer.from(one, 'base64') },
  ]);
});

test.each([
  ['nothing', '', 'it holds no key'],
  ['only a comment', '# keys\n', 'it holds no key'],
  ['a key without a name', `${one}\n`, 'its line 1 is not a name'],
  ['a key of 16 bytes', `good ${one}\nshort ${randomBytes(16).toString('base64')}\n`, 'its line 2 is not a name'],
  ['a key of 33 bytes', `long ${randomBytes(33).toString('base64')}\n`, 'its line 1 is not a name'],
  ['a name with a slash', `a/b ${one}\n`, 'its line 1 is not a name'],
  ['one name twice', `same ${one}\nsame ${two}\n`, "it names the key 'same' twice"],
  ['one name twice, once wrapped', `same ${one}\nsame ${kmsKeyArn} ${wrapped}\n`, "it names the key 'same' twice"],
  ['a wrapped key without the KMS key', `k ${wrapped}\n`, 'its line 1 is not a name'],
  ['a wrapped key that is cut off', `k ${kmsKeyArn} ${wrapped.slice(1)}\n`, 'its line 1 is not a name'],
  ['a wrapped key of 8 kB', `k ${kmsKeyArn} ${randomBytes(8192).toString('base64')}\n`, 'its line 1 is not a name'],
  [
    "an alias's ARN",
    `good ${one}\nk ${kmsKeyArn.replace('key/', 'alias/')} ${wrapped}\n`,
    "its line 2 cannot be used: KMS key ARN 'arn:aws:kms:eu-west-1:485801740390:alias/1234abcd",
  ],
  ['another ARN', `k arn:aws:s3:::bucket ${wrapped}\n`, "its line 1 cannot be used: KMS key ARN 'arn:aws:s3:::bucket'"],
])('a file with %s is refused, and no key is shown', (_what, text, why) => {
  const parse = (): unknown => parseKeyFile(text);
  expect(parse).toThrow(InvalidInput);
  expect(parse).toThrow(why);
  expect(parse).not.toThrow(/[A-Za-z0-9+/]{20}/);
});

test.each(['600', '400', '640'])('a file of mode %s is private enough', async (mode) => {
  expect(readKeyFile(await fileOf(`only ${one}\n`, parseInt(mode, 8)))).toHaveLength(1);
});

test.each(['644', '604', '660', '666'])('a file of mode %s is open to others, and refused', async (mode) => {
  const file = await fileOf(`only ${one}\n`, parseInt(mode, 8));
  expect(() => readKeyFile(file)).toThrow(`is open to others (mode ${mode}): let its mode be 600`);
});

test('a file that holds only wrapped keys may be read by everybody', async () => {
  const wrappedOnly = `k ${kmsKeyArn} ${wrapped}\n`;
  for (const mode of [0o644, 0o600]) expect(readKeyFile(await fileOf(wrappedOnly, mode))).toHaveLength(1);
  const mixed = await fileOf(`${wrappedOnly}plain ${one}\n`, 0o644);
  expect(() => readKeyFile(mixed)).toThrow('is open to others (mode 644)');
});

test.each(['664', '646', '666'])('a file of mode %s could be given other keys, and is refused', async (mode) => {
  const file = await fileOf(`k ${kmsKeyArn} ${wrapped}\n`, parseInt(mode, 8));
  expect(() => readKeyFile(file)).toThrow(`can be written by others (mode ${mode}): let its mode be 644 or 600.`);
});

test('a file that is not there is named', () => {
  expect(() => readPayloadKeyFile({ PAYLOAD_KEY_FILE: '/nowhere/keys' })).toThrow(
    'The setting PAYLOAD_KEY_FILE cannot be used: the file /nowhere/keys cannot be read (ENOENT).',
  );
});

test('without the setting there are no keys', () => {
  expect(readPayloadKeyFile({})).toBeUndefined();
  expect(readPayloadKeyFile({ PAYLOAD_KEY_FILE: '' })).toBeUndefined();
});
