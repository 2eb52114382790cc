import net from 'node:net';
import tls from 'node:tls';
import { ResponseReader, type ResponseListener } from './response-reader';

/** Who is told of an answer, or that there will be none. */
export interface AnswerListener extends ResponseListener {
  /** The connection broke before the answer's end. Nothing else is told after it. */
  broken(error: Error): void;
}

/** What bytes can be sent to. */
export interface ByteSink {
  /** The bytes stay as they are until `sent` is called; where the connection breaks, it never is. */
  write(bytes: Buffer, sent: () => void): void;
}

export interface ConnectionTimes {
  /** Until the connection stands, TLS included. */
  readonly connectMs: number;
  /** Without a byte either way while it is asked something. */
  readonly stallMs: number;
}

/** At most one of TLS's records, or what the system has, is read at a time. */
const readBytes = 64 * 1024;

/**
 * A connection that is asked one thing after the other, by HTTP/1.1. What makes it cheap: it reads into the same memory
 * again and again, where Node's own client makes an object and new memory for each of TLS's records of 16 KiB
 * (docs/performance.md).
 */
export class Connection implements ByteSink {
  private readonly socket: net.Socket;
  private readonly connecting: NodeJS.Timeout;
  private isEstablished = false;
  private reader: ResponseReader | undefined;
  private listener: AnswerListener | undefined;
  private isAsked = true;

  /** @param session of TLS, by which an earlier connection's handshake is shortened */
  constructor(
    origin: URL,
    private readonly times: ConnectionTimes,
    session?: Buffer,
  ) {
    this.socket = openSocket(origin, session, (bytes) => this.read(bytes));
    this.socket.setNoDelay(true);
    this.connecting = setTimeout(() => this.break(notEstablished(times)), times.connectMs);
    this.socket.on('timeout', () => this.break(stalled(times)));
    this.socket.once(origin.protocol === 'https:' ? 'secureConnect' : 'connect', () => this.established());
    this.socket.on('error', (error) => this.break(error));
    this.socket.on('close', () => this.closed());
  }

  get isOpen(): boolean {
    return !this.socket.destroyed && this.socket.writable;
  }

  /** Whether all was asked and answered, and another thing can be. */
  get isFree(): boolean {
    return this.isOpen && this.isAsked && this.listener === undefined && this.socket.writableLength === 0;
  }

  onClose(told: () => void): void {
    this.socket.once('close', told);
  }

  onSession(keep: (session: Buffer) => void): void {
    this.socket.on('session', keep);
  }

  /** `head` with its empty line. Of a body it knows nothing: `write` it, and say when it has been written. */
  ask(head: string, listener: AnswerListener): void {
    this.listener = listener;
    this.reader = new ResponseReader({
      proceed: () => listener.proceed?.(),
      head: (given) => listener.head(given),
      body: (bytes) => listener.body(bytes),
      end: () => this.answered(),
    });
    this.isAsked = false;
    this.socket.ref();
    this.socket.write(head, 'latin1');
    if (this.isEstablished) this.socket.setTimeout(this.times.stallMs);
  }

  write(bytes: Buffer, sent: () => void): void {
    this.socket.write(bytes, (error) => {
      if (!error) sent();
    });
  }

  /** The whole of what is asked has been written. */
  endBody(): void {
    this.isAsked = true;
  }

  /** While it is paused it does not stall. */
  pause(): void {
    this.socket.pause();
    this.socket.setTimeout(0);
  }

  resume(): void {
    this.socket.resume();
    this.socket.setTimeout(this.times.stallMs);
  }

  /** Nobody is told. */
  destroy(): void {
    this.listener = undefined;
    this.socket.destroy();
  }

  /** Waits for the next thing to be asked, for so long, and holds up no process that wants to end. */
  rest(idleMs: number): void {
    this.socket.unref();
    this.socket.setTimeout(idleMs);
    this.socket.resume();
  }

  private established(): void {
    this.isEstablished = true;
    clearTimeout(this.connecting);
    this.socket.setTimeout(this.times.stallMs);
  }

  private read(bytes: Buffer): void {
    // One that rests and hears something is told that it is not wanted any more.
    if (this.reader === undefined || this.listener === undefined) return void this.socket.destroy();
    try {
      this.reader.read(bytes);
    } catch (error) {
      this.break(error as Error);
    }
  }

  private answered(): void {
    const { listener, reader } = this;
    this.listener = undefined;
    if (reader?.leavesConnection !== true) this.socket.destroy();
    listener?.end();
  }

  private closed(): void {
    clearTimeout(this.connecting);
    try {
      this.reader?.connectionEnded();
    } catch (error) {
      this.break(Object.assign(error as Error, { code: 'ECONNRESET' }));
    }
  }

  private break(error: Error): void {
    const { listener } = this;
    this.destroy();
    listener?.broken(error);
  }
}

/** The socket hands over what it has read in memory that it uses again; nothing is ever emitted as `data`. */
function openSocket(
  { protocol, hostname, port }: URL,
  session: Buffer | undefined,
  read: (bytes: Buffer) => void,
): net.Socket {
  const host = hostname.replace(/^\[|\]$/g, '');
  const onread = {
    buffer: Buffer.allocUnsafeSlow(readBytes),
    callback: (count: number, memory: Uint8Array) => {
      read(Buffer.from(memory.buffer, memory.byteOffset, count));
      return true;
    },
  };
  if (protocol !== 'https:') return net.connect({ host, port: Number(port || 80), onread });
  // tls.connect hands onread to its socket, as net.connect does; its type does not say so.
  const options: tls.ConnectionOptions & { onread: net.OnReadOpts } = {
    host,
    port: Number(port || 443),
    ALPNProtocols: ['http/1.1'],
    ...(net.isIP(host) === 0 ? { servername: host } : {}),
    ...(session === undefined ? {} : { session }),
    onread,
  };
  return tls.connect(options);
}

const notEstablished = ({ connectMs }: ConnectionTimes): Error =>
  timedOut(`The connection did not stand within ${connectMs} ms`);

const stalled = ({ stallMs }: ConnectionTimes): Error => timedOut(`No byte went either way for ${stallMs} ms`);

const timedOut = (message: string): Error => Object.assign(new Error(message), { name: 'TimeoutError' });
