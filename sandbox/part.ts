/** A server of the sandbox, which can be stopped and started again. */
export class Part<T extends { stop(): Promise<void> }> {
  private constructor(
    private readonly startServer: () => Promise<T>,
    private server: T,
  ) {}

  static async start<T extends { stop(): Promise<void> }>(startServer: () => Promise<T>): Promise<Part<T>> {
    return new Part(startServer, await startServer());
  }

  get running(): T {
    return this.server;
  }

  stop(): Promise<void> {
    return this.server.stop();
  }

  async restart(whileDown: () => Promise<void>): Promise<void> {
    await this.server.stop();
    await whileDown();
    this.server = await this.startServer();
  }
}
