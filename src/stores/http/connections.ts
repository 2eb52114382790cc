import { Connection, type ConnectionTimes } from './connection';

export interface ConnectionsOptions extends ConnectionTimes {
  /** How long a connection that nobody uses is kept: less than the stores keep theirs. */
  readonly idleMs: number;
}

/** Connections that are kept for the next request to the same origin: a new one costs a small shard more than its bytes do. */
export class Connections {
  private readonly free = new Map<string, Connection[]>();
  private readonly sessions = new Map<string, Buffer>();

  constructor(private readonly options: ConnectionsOptions) {}

  /** One that was kept, or a new one, which need not stand yet. */
  take(origin: URL): Connection {
    const kept = this.free.get(origin.origin) ?? [];
    for (let last = kept.pop(); last !== undefined; last = kept.pop()) if (last.isOpen) return last;
    const connection = new Connection(origin, this.options, this.sessions.get(origin.origin));
    connection.onSession((session) => this.sessions.set(origin.origin, session));
    return connection;
  }

  /** Kept where all was asked and answered, ended where not. */
  give(origin: URL, connection: Connection): void {
    if (!connection.isFree) {
      connection.destroy();
      return;
    }
    connection.rest(this.options.idleMs);
    const kept = this.free.get(origin.origin)?.filter(({ isOpen }) => isOpen) ?? [];
    this.free.set(origin.origin, [...kept, connection]);
  }
}
