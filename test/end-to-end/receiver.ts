/** Whoever is told by notices: a server that takes only what is signed as it was agreed. */
import { createHmac, randomBytes } from 'node:crypto';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { SentNotice } from '../../src/stores/webhook';
import { eventually } from '../eventually';

const slowMs = 300;

/** Refuses the first `refusals` requests, then takes every notice, slowly. Notices of the accounts in `ignored` are never answered. */
export class Receiver {
  readonly taken: SentNotice[] = [];
  readonly refused: SentNotice[] = [];
  readonly ignored = new Set<string>();
  readonly unanswered: SentNotice[] = [];
  /** Of these, those whose sender waits for the answer no more. */
  readonly givenUp: SentNotice[] = [];
  refusals = 0;

  private readonly secret = randomBytes(32);
  private readonly queryKey = `k3y-${randomBytes(6).toString('hex')}`;

  private readonly server = http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (data: Buffer) => chunks.push(data));
    request.on('end', () => {
      const notice = this.verified(request.headers, Buffer.concat(chunks).toString());
      if (this.ignored.has(notice.data.account)) {
        this.unanswered.push(notice);
        response.once('close', () => this.givenUp.push(notice));
        return;
      }
      setTimeout(() => {
        const isRefused = this.refused.length < this.refusals;
        (isRefused ? this.refused : this.taken).push(notice);
        response.writeHead(isRefused ? 503 : 204).end();
      }, slowMs);
    });
  });

  /** Returns the settings of a worker that tells this receiver. */
  async start(): Promise<{ NOTICE_URL: string; NOTICE_SECRET: string }> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    const { port } = this.server.address() as AddressInfo;
    return {
      NOTICE_URL: `http://127.0.0.1:${port}/hook?key=${this.queryKey}`,
      NOTICE_SECRET: `whsec_${this.secret.toString('base64')}`,
    };
  }

  get secrets(): readonly string[] {
    return [this.queryKey, this.secret.toString('base64')];
  }

  takenOf(account: string): SentNotice[] {
    return this.taken.filter(({ data }) => data.account === account);
  }

  hasTaken(account: string, count: number): Promise<number> {
    return eventually(
      async () => this.takenOf(account).length,
      (length) => length >= count,
      30_000,
    );
  }

  /** As a receiver is told to: by the id, the time and the body as it came. */
  private verified(headers: http.IncomingHttpHeaders, body: string): SentNotice {
    const [id, timestamp] = [String(headers['webhook-id']), String(headers['webhook-timestamp'])];
    const expected = createHmac('sha256', this.secret).update(`${id}.${timestamp}.${body}`).digest('base64');
    const notice = JSON.parse(body) as SentNotice;
    if (headers['webhook-signature'] !== `v1,${expected}` || notice.id !== id) throw new Error(`Forged: ${body}`);
    if (Math.abs(Date.now() / 1000 - Number(timestamp)) > 60) throw new Error(`Played back: ${body}`);
    return notice;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}
