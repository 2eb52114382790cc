/** What a fault is, and what faults are made of. */
import type { Proxies } from '../end-to-end/environment';
import type { Asked, Effect, Recorded } from '../end-to-end/fault-proxy';
import type { Scene } from './scene';
import { pathOf, type Matches } from './traffic';

export interface Fault {
  readonly name: string;
  readonly kind: 'kill' | 'restart' | 'outage' | 'refusal' | 'connection' | 'stall' | 'damage' | 'order';
  /** Arms what it needs before its first `await`; then the run is announced. Resolves when the fault is over. */
  readonly stage: (scene: Scene) => Promise<Over>;
  /** Whether it may come when the dump is over, and then disturbs nothing. */
  readonly mayComeTooLate?: boolean;
  /** How many dumps are delivered, of the runs that are announced; 1 unless given. */
  readonly delivers?: number;
  /** How many shards may be put again, where that is fewer than were in flight. */
  readonly shardsPutAgainMax?: number;
  /** Whether S3 may be sent a dump's receipt again, the same one, as nobody can know that it has it. */
  readonly repeatsReceipt?: boolean;
}

export interface Over {
  /** When the worker was killed, or the server answered again; epoch milliseconds. */
  readonly atMs: number;
  /** What shows that work goes on. */
  readonly isProgress: (recorded: Recorded) => boolean;
  /** The run that is delivered after it; `run-1` unless given. */
  readonly runId?: string;
}

/** Any answer that is no failure to a request made since. */
export const anythingSince = (atMs: number): Over => ({
  atMs,
  isProgress: ({ beganAtMs, status }) => beganAtMs >= atMs && status < 400,
});

/**
 * The same request, answered well: that a job of this id exists is as good. A put's query may hold a signature, which is
 * another each time.
 */
export const sameSince = (atMs: number, asked: Asked): Over => ({
  atMs,
  isProgress: ({ endedAtMs, status, ...recorded }) =>
    endedAtMs > atMs &&
    (status < 400 || status === 409) &&
    recorded.method === asked.method &&
    (asked.method === 'PUT'
      ? pathOf(recorded) === pathOf(asked)
      : recorded.path === asked.path && recorded.body === asked.body),
});

export interface Where {
  readonly proxy: keyof Proxies;
  readonly matches: (scene: Scene) => Matches;
}

export const at = (proxy: keyof Proxies, matches: (scene: Scene) => Matches): Where => ({ proxy, matches });

/** Nothing of the request has reached the service. */
export const before: Effect = { kind: 'hold', side: 'request' };
/** The service has done what it was asked, and the program does not know. */
export const beforeAnswer: Effect = { kind: 'hold', side: 'answer' };
