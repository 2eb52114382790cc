/** The keys that payloads are encrypted with, from a file. Of what stands in it, messages repeat names and ARNs only. */
import { readFileSync, statSync } from 'node:fs';
import type { KmsKeyArn } from '../contract';
import { InvalidInput, parseKmsKeyArn } from '../dump/inputs';

export interface PayloadKey {
  readonly id: string;
  /** 32 bytes. */
  readonly bytes: Buffer;
}

/** A key as KMS has wrapped it. Without KMS it tells nobody anything. */
export interface WrappedKey {
  readonly id: string;
  readonly kmsKeyArn: KmsKeyArn;
  readonly wrapped: Buffer;
}

export type KeyLine = PayloadKey | WrappedKey;

/** The first key is the current one. */
export type KeyFile = readonly [KeyLine, ...KeyLine[]];

export const isWrapped = (line: KeyLine): line is WrappedKey => 'wrapped' in line;

/** A key that KMS keeps from us. The message is a sentence for whoever runs the process. */
export class PayloadKeyUnavailable extends Error {
  override readonly name = 'PayloadKeyUnavailable';
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

export function readKeyFile(file: string): KeyFile {
  let text: string;
  let mode: number;
  try {
    text = readFileSync(file, 'utf8');
    mode = statSync(file).mode;
  } catch (error) {
    throw new InvalidInput(`the file ${file} cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown'}).`);
  }
  const keys = parseKeyFile(text);
  requirePrivate(file, mode, keys);
  return keys;
}

/** Others may do nothing with the file; its group may read it, as secrets that are mounted into a container need. */
const forbiddenMode = 0o027;
/** What is wrapped is no secret. But whoever could write the file could have payloads encrypted with a key of their own. */
const forbiddenModeOfWrapped = 0o022;

function requirePrivate(file: string, mode: number, keys: KeyFile): void {
  const shown = (mode & 0o777).toString(8);
  if (keys.every(isWrapped)) {
    if ((mode & forbiddenModeOfWrapped) === 0) return;
    throw new InvalidInput(`the file ${file} can be written by others (mode ${shown}): let its mode be 644 or 600.`);
  }
  if ((mode & forbiddenMode) === 0) return;
  throw new InvalidInput(
    `the file ${file} is open to others (mode ${shown}): let its mode be 600, or 640 where a group must read it.`,
  );
}

/** A line a key; the first is the current one. Empty lines and those that begin with # are passed over. */
export function parseKeyFile(text: string): KeyFile {
  const keys: KeyLine[] = [];
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (/^\s*(#|$)/.test(line)) continue;
    const key = parseLine(line, index + 1);
    if (keys.some(({ id }) => id === key.id)) throw new InvalidInput(`it names the key '${key.id}' twice.`);
    keys.push(key);
  }
  const [current, ...others] = keys;
  if (current === undefined) throw new InvalidInput(`it holds no key: a line is ${forms}`);
  return [current, ...others];
}

const forms =
  'a name of up to 64 letters, digits and . _ -, a space and 32 bytes in base64 (44 characters), or the name, the ARN of a KMS key and what that key has wrapped, in base64.';

const plainLine = /^\s*([\w.-]{1,64})\s+([A-Za-z0-9+/]{43}=)\s*$/;
/** KMS API reference, "Decrypt": what is wrapped is 6,144 bytes at the most. */
const wrappedLine =
  /^\s*([\w.-]{1,64})\s+(arn:\S+)\s+((?:[A-Za-z0-9+/]{4}){1,2048}(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?)\s*$/;

function parseLine(line: string, number: number): KeyLine {
  const [, plainId, bytes] = plainLine.exec(line) ?? [];
  if (plainId !== undefined && bytes !== undefined) return { id: plainId, bytes: Buffer.from(bytes, 'base64') };
  const [, id, arn, wrapped] = wrappedLine.exec(line) ?? [];
  if (id === undefined || wrapped === undefined) throw new InvalidInput(`its line ${number} is not ${forms}`);
  return { id, kmsKeyArn: arnOnLine(arn, number), wrapped: Buffer.from(wrapped, 'base64') };
}

function arnOnLine(arn: string | undefined, number: number): KmsKeyArn {
  try {
    return parseKmsKeyArn(arn);
  } catch (error) {
    throw new InvalidInput(`its line ${number} cannot be used: ${(error as Error).message}`);
  }
}
