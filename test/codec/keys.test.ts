import { randomBytes } from 'node:crypto';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { parseKeys, readKeyFile } from '../../src/codec/keys';
import { readPayloadKeys } from '../../src/config';
import { InvalidInput } from '../../src/dump/inputs';

const [one, two] = [randomBytes(32).toString('base64'), randomBytes(32).toString('base64')];

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

test('the first key is the current one, all are found by their names', () => {
  const keys = parseKeys(`# newest first\n2026-12 ${two}\n\n  2026-11\t${one}  \r\n`);
  expect(keys.current).toEqual({ id: '2026-12', bytes: Buffer.from(two, 'base64') });
  expect(keys.find('2026-11')?.bytes).toEqual(Buffer.from(one, 'base64'));
  expect(keys.find('2026-10')).toBeUndefined();
});

test.each([
  ['nothing', '', 'it holds no key'],
  ['only a comment', '# keys\n', 'it holds no key'],
  ['a key without a name', `${one}\n`, 'its line 1 is not a name'],
  ['a key of 16 bytes', `good ${one}\nshort ${randomBytes(16).toString('base64')}\n`, 'its line 2 is not a name'],
  ['a key of 33 bytes', `long ${randomBytes(33).toString('base64')}\n`, 'its line 1 is not a name'],
  ['a name with a slash', `a/b ${one}\n`, 'its line 1 is not a name'],
  ['one name twice', `same ${one}\nsame ${two}\n`, "it names the key 'same' twice"],
])('a file with %s is refused, and no key is shown', (_what, text, why) => {
  const parse = (): unknown => parseKeys(text);
  expect(parse).toThrow(InvalidInput);
  expect(parse).toThrow(why);
  expect(parse).not.toThrow(/[A-Za-z0-9+/]{20}/);
});

test.each(['600', '400', '640'])('a file of mode %s is private enough', async (mode) => {
  expect(readKeyFile(await fileOf(`only ${one}\n`, parseInt(mode, 8))).current.id).toBe('only');
});

test.each(['644', '604', '660', '666'])('a file of mode %s is open to others, and refused', async (mode) => {
  const file = await fileOf(`only ${one}\n`, parseInt(mode, 8));
  expect(() => readKeyFile(file)).toThrow(`is open to others (mode ${mode}): let its mode be 600`);
});

test('a file that is not there is named', () => {
  expect(() => readPayloadKeys({ PAYLOAD_KEY_FILE: '/nowhere/keys' })).toThrow(
    'The setting PAYLOAD_KEY_FILE cannot be used: the file /nowhere/keys cannot be read (ENOENT).',
  );
});

test('without the setting there are no keys', () => {
  expect(readPayloadKeys({})).toBeUndefined();
  expect(readPayloadKeys({ PAYLOAD_KEY_FILE: '' })).toBeUndefined();
});
