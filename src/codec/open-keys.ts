/** From the lines of a key file to the keys: what KMS has wrapped, KMS unwraps. */
import type * as keyService from '../stores/key-service';
import {
  isWrapped,
  PayloadKeys,
  PayloadKeyUnavailable,
  type KeyFile,
  type KeyLine,
  type PayloadKey,
  type WrappedKey,
} from './keys';

/** Of AES-256. */
const keyBytes = 32;

/** What was unwrapped once is kept: a process that runs does not need KMS any more, however often it opens the file. */
export class KeyOpener {
  private service: keyService.KeyService | undefined;
  private readonly unwrapped = new Map<string, Promise<Buffer>>();

  /** `connect` is called when there is something to unwrap, and not before. */
  constructor(private readonly connect: () => keyService.KeyService) {}

  /** @throws PayloadKeyUnavailable for the first key that cannot be had. */
  async open([current, ...others]: KeyFile): Promise<PayloadKeys> {
    const opened = await this.openLine(current);
    const rest: PayloadKey[] = [];
    for (const line of others) rest.push(await this.openLine(line));
    return new PayloadKeys(opened, rest);
  }

  private async openLine(line: KeyLine): Promise<PayloadKey> {
    return isWrapped(line) ? { id: line.id, bytes: await this.unwrapOnce(line) } : line;
  }

  private unwrapOnce(key: WrappedKey): Promise<Buffer> {
    const name = `${key.kmsKeyArn} ${key.wrapped.toString('base64')}`;
    const known = this.unwrapped.get(name);
    if (known !== undefined) return known;
    const asked = this.unwrap(key);
    this.unwrapped.set(name, asked);
    asked.catch(() => this.unwrapped.delete(name));
    return asked;
  }

  private async unwrap(key: WrappedKey): Promise<Buffer> {
    this.service ??= this.connect();
    const bytes = await this.service.unwrap(key);
    if (bytes.length === keyBytes) return bytes;
    throw new PayloadKeyUnavailable(
      `The payload key '${key.id}' has ${bytes.length} bytes instead of ${keyBytes}: make one with --key-spec AES_256.`,
    );
  }
}

const opener = new KeyOpener(() => {
  // Most key files need no AWS client, which takes a while to load.
  const { KmsKeyService } = require('../stores/key-service') as typeof keyService;
  return new KmsKeyService();
});

/** The keys of a file. Whatever opens one in this process asks KMS for each key once. */
export function openKeys(file: KeyFile): Promise<PayloadKeys>;
/** Without a file there are none. */
export function openKeys(file: KeyFile | undefined): Promise<PayloadKeys | undefined>;
export async function openKeys(file: KeyFile | undefined): Promise<PayloadKeys | undefined> {
  return file === undefined ? undefined : opener.open(file);
}
