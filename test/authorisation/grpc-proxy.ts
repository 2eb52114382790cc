/** Stands between one identity and Temporal: writes down which methods it calls, and refuses those that it is not granted. */
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';

/** Of `WorkflowService` and `OperatorService`: no name is in both. */
export type Method = string;

/** gRPC over HTTP/2, "Responses": a call that is refused is answered by headers only. 7 is PERMISSION_DENIED. */
const refusal = {
  ':status': 200,
  'content-type': 'application/grpc',
  'grpc-status': '7',
  // What Temporal's own authoriser says (temporalio/temporal, common/authorization/interceptor.go).
  'grpc-message': 'Request unauthorized.',
};

/** HTTP/2 has no such headers (RFC 9113, 8.2.2), and each connection sets its own. */
const ofConnection = new Set(['connection', 'host', 'keep-alive', 'transfer-encoding', 'upgrade', 'http2-settings']);

export class GrpcProxy {
  readonly called = new Set<Method>();
  readonly refused = new Set<Method>();

  private readonly sessions = new Set<http2.Http2Session>();

  private constructor(
    /** `host:port` */
    readonly address: string,
    private readonly server: http2.Http2Server,
    private readonly target: string,
    /** Decides what is let through. */
    public grants: (method: Method) => boolean,
  ) {}

  static async start(target: string, grants: (method: Method) => boolean): Promise<GrpcProxy> {
    const server = http2.createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const proxy = new GrpcProxy(`127.0.0.1:${(server.address() as AddressInfo).port}`, server, target, grants);
    server.on('session', (session) => proxy.join(session));
    return proxy;
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.server.close(resolve));
    for (const session of this.sessions) session.destroy();
    await closed;
  }

  /** Each connection of the identity has one of its own to the server: what ends on one side ends on the other. */
  private join(session: http2.Http2Session): void {
    const upstream = http2.connect(`http://${this.target}`);
    for (const [one, other] of [
      [session, upstream],
      [upstream, session],
    ] as const) {
      this.sessions.add(one);
      one.on('error', () => other.destroy());
      one.once('close', () => {
        this.sessions.delete(one);
        other.destroy();
      });
    }
    session.on('stream', (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) =>
      this.take(stream, headers, upstream),
    );
  }

  private take(
    stream: http2.ServerHttp2Stream,
    headers: http2.IncomingHttpHeaders,
    upstream: http2.ClientHttp2Session,
  ): void {
    const method = headers[':path']?.split('/').at(-1) ?? '';
    this.called.add(method);
    stream.on('error', () => undefined);
    if (!this.grants(method)) {
      this.refused.add(method);
      stream.resume();
      stream.respond(refusal, { endStream: true });
      return;
    }
    const kept = Object.entries(headers).filter(([name]) => !ofConnection.has(name));
    const forwarded = upstream.request(Object.fromEntries(kept));
    forwarded.on('error', () => stream.close(http2.constants.NGHTTP2_CANCEL));
    stream.once('close', () => forwarded.close(http2.constants.NGHTTP2_CANCEL));
    forwarded.once('response', (answer, flags) => {
      const endStream = (flags & http2.constants.NGHTTP2_FLAG_END_STREAM) !== 0;
      if (stream.destroyed) return;
      stream.respond(answer, { endStream, waitForTrailers: !endStream });
      if (endStream) return;
      let trailers: http2.IncomingHttpHeaders = {};
      forwarded.once('trailers', (received) => (trailers = received));
      stream.once('wantTrailers', () => stream.sendTrailers(trailers));
      forwarded.pipe(stream);
    });
    stream.pipe(forwarded);
  }
}
