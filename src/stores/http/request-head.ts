import { validateHeaderName, validateHeaderValue } from 'node:http';

export interface RequestHead {
  readonly method: string;
  /** Percent-encoded, with what follows the question mark. */
  readonly target: string;
  /** With `host`. */
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * As it is sent (RFC 9112, 3).
 * @throws TypeError where a value would end its line, or the target is no single word
 */
export function requestHead({ method, target, headers }: RequestHead): string {
  if (!/^[A-Z]+$/.test(method)) throw new TypeError('the method of a request is no single word');
  if (!/^\/[\x21-\x7e]*$/.test(target)) throw new TypeError('the target of a request is not percent-encoded');
  let text = `${method} ${target} HTTP/1.1\r\n`;
  for (const [name, value] of Object.entries(headers)) {
    validateHeaderName(name);
    validateHeaderValue(name, value);
    text += `${name}: ${value}\r\n`;
  }
  return `${text}\r\n`;
}
