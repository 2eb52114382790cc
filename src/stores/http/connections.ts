import { Connection, type ConnectionTimes } from './connection';

export interface ConnectionsOptions extends ConnectionTimes {
  /** How long a connection that nobody uses is kept: less than the stores keep theirs. */
  readonly idleMs: number;
}

/** More origins than one process copies into within the minutes that a session lasts. */
const sessionsMax = 256;

/** Connections that are kept for the next request to the same origin: a new one costs a small shard more than its bytes do. */
export class Connections {
  private readonly free = new Map<string, Connection[]>();
  /** Of TLS, those that were given last at the end. */
  private readonly sessions = new Map<string, Buffer>();

  constructor(private readonly options: ConnectionsOptions) {}

  /** One that was kept, or a new one, which need not stand yet. */
  take({ origin }: URL): Connection {
    // The one that was used last: the store closes it last.
    const free = this.free.get(origin) ?? [];
    for (let kept = free.pop(); kept !== undefined; kept = free.pop()) if (kept.isOpen) return kept;
    const connection = new Connection(new URL(origin), this.options, this.sessions.get(origin));
    connection.onSession((session) => this.keepSession(origin, session));
    connection.onClose(() => this.forget(origin, connection));
    return connection;
  }

  /** Kept where all was asked and answered, ended where not. */
  give({ origin }: URL, connection: Connection): void {
    if (!connection.isFree) {
      connection.destroy();
      return;
    }
    connection.rest(this.options.idleMs);
    const free = this.free.get(origin);
    if (free === undefined) this.free.set(origin, [connection]);
    else free.push(connection);
  }

  /** What is closed must not be held: it has memory of its own, and there is an origin for each customer. */
  private forget(origin: string, connection: Connection): void {
    const free = this.free.get(origin)?.filter((each) => each !== connection) ?? [];
    if (free.length === 0) this.free.delete(origin);
    else this.free.set(origin, free);
  }

  private keepSession(origin: string, session: Buffer): void {
    this.sessions.delete(origin);
    this.sessions.set(origin, session);
    const [oldest] = this.sessions.keys();
    if (this.sessions.size > sessionsMax && oldest !== undefined) this.sessions.delete(oldest);
  }
}
