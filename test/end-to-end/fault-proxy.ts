/** Stands between the program and a service: writes down all that passes, and does to a request what a test has armed. */
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { createLatch } from './latch';
import { pass, type Fault } from './passage';

/** A request, as the program made it. */
export interface Asked {
  readonly method: string;
  /** With query. Objects of S3 are at `/bucket/key`, STS is at `/`. */
  readonly path: string;
  /** Of form posts to STS and IAM. */
  readonly action: string | undefined;
  readonly headers: http.IncomingHttpHeaders;
  /** Of forms and JSON; other bodies pass as they come. */
  readonly body: string;
  readonly beganAtMs: number;
}

/** One request that the service answered, whether or not the answer reached the program. */
export interface Recorded extends Asked {
  readonly endedAtMs: number;
  readonly status: number;
  /** What the service answered, where it is not an object. */
  readonly answer: string;
}

/** One request, answered or not. */
export interface Exchange {
  readonly asked: Asked;
  recorded?: Recorded;
  /** When it was over for the program: answered, given up or reset. */
  closedAtMs?: number;
}

type Side = 'request' | 'answer';

export interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

export type Effect =
  /** Nothing more passes until it is released. Without `afterBytes` nothing has passed at all. */
  | { readonly kind: 'hold'; readonly side: Side; readonly afterBytes?: number }
  /** An answer is held if it is like this; others pass. */
  | { readonly kind: 'hold answer like'; readonly like: RegExp }
  /** The request passes when it is released, even if nobody waits for its answer any more. */
  | { readonly kind: 'deliver late' }
  | { readonly kind: 'reset'; readonly side: Side; readonly afterBytes?: number }
  /** One byte of the body arrives as another. */
  | { readonly kind: 'damage'; readonly side: Side }
  /** What the service answered arrives otherwise. */
  | { readonly kind: 'rewrite'; readonly change: (answer: string) => string }
  /** The program is told this: instead of asking the service, or after the service has done what it was asked. */
  | { readonly kind: 'answer'; readonly after: 'nothing' | 'the service'; readonly answer: Answer };

export interface Arming {
  readonly matches: (asked: Asked) => boolean;
  readonly effect: Effect;
  /** How many requests it is done to; 1 unless given. */
  readonly times?: number;
}

export interface Armed {
  /** The first request that it was done to. */
  readonly hit: Promise<Asked>;
  /** The last one: it is done to no more. */
  readonly spent: Promise<Asked>;
  readonly hits: readonly Asked[];
  /** Lets pass what is held, and is done to nothing more. */
  release(): void;
}

export class FaultProxy {
  /** What the service answered, in that order. */
  readonly recorded: Recorded[] = [];
  /** Everything that was asked, in that order. */
  readonly exchanges: Exchange[] = [];
  /** How long a request waits before it is passed on, so that it takes its time as on a real network. */
  latencyMs: (asked: Asked) => number = () => 0;

  private readonly standing = new Set<{ readonly arming: Arming; readonly fault: Fault }>();

  private constructor(
    readonly url: string,
    private readonly server: http.Server,
  ) {}

  static async start(target: string): Promise<FaultProxy> {
    const server = http.createServer((request, response) => void proxy.take(new URL(target), request, response));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const proxy = new FaultProxy(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, server);
    return proxy;
  }

  arm(arming: Arming): Armed {
    const hit = createLatch<Asked>();
    const spent = createLatch<Asked>();
    const released = createLatch<void>();
    const hits: Asked[] = [];
    let left = arming.times ?? 1;
    const strike = (asked: Asked): boolean => {
      if (left === 0) return false;
      left--;
      hits.push(asked);
      hit.open(asked);
      if (left === 0) spent.open(asked);
      return true;
    };
    const standing = { arming, fault: { effect: arming.effect, strike, released: released.opened } };
    this.standing.add(standing);
    return {
      hit: hit.opened,
      spent: spent.opened,
      hits,
      release: () => {
        left = 0;
        this.standing.delete(standing);
        released.open();
      },
    };
  }

  /** Refuses connections, as a server that is down does. */
  async down(): Promise<void> {
    const closed = new Promise((resolve) => this.server.close(resolve));
    this.server.closeAllConnections();
    await closed;
  }

  async up(): Promise<void> {
    const port = Number(new URL(this.url).port);
    await new Promise<void>((resolve) => this.server.listen(port, '127.0.0.1', resolve));
  }

  async stop(): Promise<void> {
    if (this.server.listening) await this.down();
  }

  private async take(target: URL, request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const asked = await askedBy(request).catch(() => undefined);
    if (asked === undefined) return;
    const exchange: Exchange = { asked };
    this.exchanges.push(exchange);
    response.once('close', () => (exchange.closedAtMs = Date.now()));
    const standing = [...this.standing].find(({ arming }) => arming.matches(asked));
    const record = (recorded: Recorded): void => {
      exchange.recorded = recorded;
      this.recorded.push(recorded);
    };
    await pass({ target, request, response, asked, fault: standing?.fault, latencyMs: this.latencyMs(asked), record });
  }
}

const readWhole = ['application/x-www-form-urlencoded', 'application/json'];

async function askedBy(request: http.IncomingMessage): Promise<Asked> {
  const beganAtMs = Date.now();
  const isSmall = readWhole.some((type) => request.headers['content-type']?.startsWith(type) === true);
  const chunks: Buffer[] = [];
  if (isSmall) for await (const chunk of request) chunks.push(chunk as Buffer);
  const body = Buffer.concat(chunks).toString();
  return {
    method: request.method ?? '',
    path: decodeURIComponent(request.url ?? ''),
    action: new URLSearchParams(body).get('Action') ?? undefined,
    headers: request.headers,
    body,
    beganAtMs,
  };
}
