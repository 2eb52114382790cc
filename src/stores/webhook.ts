import { createHmac } from 'node:crypto';
import type { Notice } from '../contract';
import { noticeFailure, noticeRefused } from '../failures';
import { noticeRequestTimeoutMs } from '../timing';

export interface WebhookSettings {
  readonly url: URL;
  /** The bytes that notices are signed with. */
  readonly secret: Buffer;
}

/** A notice as its receiver gets it. Sent again, it has the same id. */
export interface SentNotice extends Notice {
  readonly id: string;
}

/** Whoever is told. */
export interface Webhook {
  /** Returns when the receiver has taken the notice. Throws a failure that may be retried. */
  post(notice: SentNotice): Promise<void>;
}

/** Posts as the Standard Webhooks specification says (standardwebhooks.com), so that its libraries verify the signature. */
export class HttpWebhook implements Webhook {
  constructor(
    private readonly settings: WebhookSettings,
    private readonly timeoutMs = noticeRequestTimeoutMs,
  ) {}

  async post(notice: SentNotice): Promise<void> {
    const { url } = this.settings;
    const body = JSON.stringify(notice);
    let response: Response;
    try {
      response = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...this.signed(notice.id, body) },
        body,
        // Whoever is not at this URL is not the receiver.
        redirect: 'manual',
        signal: AbortSignal.timeout(this.timeoutMs),
      });
    } catch (error) {
      throw noticeFailure(error, url);
    }
    // The status is the answer. A body of any length is not read.
    await response.body?.cancel().catch(() => undefined);
    if (!response.ok) throw noticeRefused(url, response.status);
  }

  /** The time is that of this attempt, so that a receiver can refuse what is played back to it later. */
  private signed(id: string, body: string): Record<string, string> {
    const timestamp = String(Math.floor(Date.now() / 1000));
    const signature = signatureOf(this.settings.secret, id, timestamp, body);
    return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signature };
  }
}

/** @param timestamp seconds since the epoch (Standard Webhooks, "Signature scheme") */
export function signatureOf(secret: Buffer, id: string, timestamp: string, body: string): string {
  return `v1,${createHmac('sha256', secret).update(`${id}.${timestamp}.${body}`).digest('base64')}`;
}
