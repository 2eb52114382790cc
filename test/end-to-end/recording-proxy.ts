import http from 'node:http';
import type { AddressInfo } from 'node:net';

/** One request that passed, in the order of arrival. */
export interface Recorded {
  readonly method: string;
  /** With query. Objects are at `/bucket/key`, STS is at `/`. */
  readonly path: string;
  /** Of form posts to STS and IAM. */
  readonly action: string | undefined;
  readonly headers: http.IncomingHttpHeaders;
  readonly endedAtMs: number;
  readonly status: number;
  /** What the service answered, where it is not an object. */
  readonly answer: string;
}

/** Stands between the program and the AWS stand-in and writes down all that is asked. Bodies pass as they come. */
export class RecordingProxy {
  readonly recorded: Recorded[] = [];

  private constructor(
    readonly url: string,
    private readonly server: http.Server,
  ) {}

  static async start(target: string): Promise<RecordingProxy> {
    const { hostname, port } = new URL(target);
    const server = http.createServer((request, response) => {
      const options = { hostname, port, path: request.url, method: request.method, headers: request.headers };
      const forwarded = http.request(options, (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
        const received: Buffer[] = [];
        answer.on('data', (data: Buffer) => received.push(data));
        answer.on('end', () => {
          proxy.recorded.push({
            method: request.method ?? '',
            path: decodeURIComponent(request.url ?? ''),
            action: new URLSearchParams(Buffer.concat(form).toString()).get('Action') ?? undefined,
            headers: request.headers,
            endedAtMs: Date.now(),
            status: answer.statusCode ?? 0,
            answer: Buffer.concat(received).toString(),
          });
        });
      });
      const form: Buffer[] = [];
      if (request.headers['content-type']?.startsWith('application/x-www-form-urlencoded') === true) {
        request.on('data', (data: Buffer) => form.push(data));
      }
      forwarded.on('error', () => response.destroy());
      response.on('close', () => forwarded.destroy());
      request.pipe(forwarded);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const proxy = new RecordingProxy(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, server);
    return proxy;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}
