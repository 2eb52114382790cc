import http from 'node:http';
import type { AddressInfo } from 'node:net';

/** Takes requests and says nothing. When it is stopped it refuses them, so that no client tries again after its test. */
export class SilentServer {
  private readonly unanswered = new Set<http.ServerResponse>();

  private constructor(private readonly server: http.Server) {}

  static async start(): Promise<SilentServer> {
    const server = http.createServer((request, response) => {
      request.resume();
      silent.unanswered.add(response);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const silent = new SilentServer(server);
    return silent;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.server.close(resolve));
    const headers = { 'content-type': 'application/json', connection: 'close' };
    for (const response of this.unanswered) response.writeHead(400, headers).end('{}');
    await closed;
  }
}
