import type { Readable } from 'node:stream';
import { PutObjectCommand, type PutObjectCommandInput, type S3Client } from '@aws-sdk/client-s3';
import { SignatureV4 } from '@smithy/signature-v4';
import type { ByteSource } from './byte-source';
import { Rehearsal, type S3RequestHandler, type SignedRequest } from './s3-request-handler';

/** What all puts have in common. */
export type CommonInput = Omit<PutObjectCommandInput, 'Key' | 'Body'>;

const standIn = { Key: 'key', ContentLength: 0, ChecksumCRC32C: 'AAAAAA==' };

/**
 * The SDK's own limit. S3 may close the connection on a body that it refuses, and its answer is lost then: so it is asked
 * first, where the round trip costs little beside the bytes.
 */
const expectFromBytes = 2 * 1024 ** 2;

/** What differs from put to put, or is made by signing. */
const ownHeaders = /^(authorization|x-amz-date|x-amz-security-token|amz-sdk-.*)$/;

/**
 * Many puts that differ by key, length and bytes. The SDK's client makes the first request, and reads answers that are no
 * success; between, each put is signed by the SDK's signer and sent, without the client's middleware, which costs a small
 * shard more than its bytes do (docs/performance.md).
 */
export class PreparedPuts {
  private readonly signer: SignatureV4;
  private template: Promise<SignedRequest> | undefined;

  constructor(
    private readonly client: S3Client,
    private readonly handler: S3RequestHandler,
    private readonly common: CommonInput,
  ) {
    const { credentials, sha256, region } = client.config;
    this.signer = new SignatureV4({ credentials, sha256, region, service: 's3', uriEscapePath: false });
  }

  /** @throws S3ServiceException where S3 refuses it, BodyBroken where its source breaks */
  async put(key: string, source: ByteSource, signal: AbortSignal): Promise<void> {
    const { sizeBytes, crc32c } = source;
    const template = await (this.template ??= this.prepare().catch(this.forget));
    const path = `${template.path}${key.split('/').map(percentEncoded).join('/')}`;
    const headers = {
      ...template.headers,
      'content-length': String(sizeBytes),
      'x-amz-checksum-crc32c': crc32c,
      ...(sizeBytes < expectFromBytes ? {} : { Expect: '100-continue' }),
    };
    const signed = await this.signer.sign(
      { ...template, path, headers },
      { signingDate: new Date(Date.now() + this.client.config.systemClockOffset) },
    );
    const request = { ...template, path, headers: signed.headers, body: source };
    const { response } = await this.handler.handle(request, { abortSignal: signal });
    if (response.statusCode !== 200) await this.rehearse(new Rehearsal(response));
  }

  /** Whoever asks next prepares anew: what failed, such as having no session yet, passes. */
  private readonly forget = (error: unknown): never => {
    this.template = undefined;
    throw error;
  };

  /** The request that the client would send, without what differs. Its path ends where the key begins. */
  private async prepare(): Promise<SignedRequest> {
    const rehearsal = new Rehearsal();
    await this.rehearse(rehearsal);
    const { request } = rehearsal;
    if (request === undefined) throw new Error('The SDK has sent a put without handing it to its request handler');
    const headers = Object.entries(request.headers).filter(([name]) => !ownHeaders.test(name.toLowerCase()));
    return { ...request, path: request.path.slice(0, -standIn.Key.length), headers: Object.fromEntries(headers) };
  }

  /** Goes through the client and is not sent. Throws as the client does where it takes the answer for a failure. */
  private async rehearse(rehearsal: Rehearsal): Promise<void> {
    // A body that the client cannot read it hands to its request handler.
    await this.client.send(
      new PutObjectCommand({ ...this.common, ...standIn, Body: rehearsal as unknown as Readable }),
    );
  }
}

/** RFC 3986, as S3's signatures demand (S3 API reference, "Signature calculations: UriEncode"). */
const percentEncoded = (segment: string): string =>
  encodeURIComponent(segment).replace(/[!'()*]/g, (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`);
