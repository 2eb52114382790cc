/** The keys that payloads are encrypted with, from a file. No message of this module repeats what stands in it but names. */
import { readFileSync, statSync } from 'node:fs';
import { InvalidInput } from '../dump/inputs';

export interface PayloadKey {
  readonly id: string;
  /** 32 bytes. */
  readonly bytes: Buffer;
}

export class PayloadKeys {
  private readonly byId: ReadonlyMap<string, PayloadKey>;

  /** `current` encrypts; all decrypt. */
  constructor(
    readonly current: PayloadKey,
    others: readonly PayloadKey[] = [],
  ) {
    this.byId = new Map([current, ...others].map((key) => [key.id, key]));
  }

  find(id: string): PayloadKey | undefined {
    return this.byId.get(id);
  }
}

/** Others may do nothing with the file; its group may read it, as secrets that are mounted into a container need. */
const forbiddenMode = 0o027;

export function readKeyFile(file: string): PayloadKeys {
  let text: string;
  let mode: number;
  try {
    text = readFileSync(file, 'utf8');
    mode = statSync(file).mode;
  } catch (error) {
    throw new InvalidInput(`the file ${file} cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown'}).`);
  }
  if ((mode & forbiddenMode) !== 0) {
    throw new InvalidInput(
      `the file ${file} is open to others (mode ${(mode & 0o777).toString(8)}): let its mode be 600, or 640 where a group must read it.`,
    );
  }
  return parseKeys(text);
}

/** A line a key, `<id> <32 bytes in base64>`; the first is the current one. Empty lines and those that begin with # are passed over. */
export function parseKeys(text: string): PayloadKeys {
  const keys: PayloadKey[] = [];
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (/^\s*(#|$)/.test(line)) continue;
    const key = parseKey(line, index + 1);
    if (keys.some(({ id }) => id === key.id)) throw new InvalidInput(`it names the key '${key.id}' twice.`);
    keys.push(key);
  }
  const [current, ...others] = keys;
  if (current === undefined)
    throw new InvalidInput('it holds no key: a line is a name, a space and 32 bytes in base64.');
  return new PayloadKeys(current, others);
}

function parseKey(line: string, number: number): PayloadKey {
  const [, id, base64 = ''] = /^\s*([\w.-]{1,64})\s+([A-Za-z0-9+/]{43}=)\s*$/.exec(line) ?? [];
  if (id === undefined) {
    throw new InvalidInput(
      `its line ${number} is not a name of up to 64 letters, digits and . _ -, a space and 32 bytes in base64 (44 characters).`,
    );
  }
  return { id, bytes: Buffer.from(base64, 'base64') };
}
