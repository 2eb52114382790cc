import { condition } from '@temporalio/workflow';
import type { TableName } from '../contract';

interface Waiting {
  readonly subject: TableName | undefined;
  requested: boolean;
}

/** Those parts of a dump that wait for a person's `retry`. */
export class Retries {
  private readonly waiting = new Set<Waiting>();

  /** Returns when a retry is asked for, when `everyMs` is over, or when `orElse` holds. */
  async wait(subject: TableName | undefined, everyMs: number | undefined, orElse: () => boolean): Promise<void> {
    const waiting: Waiting = { subject, requested: false };
    this.waiting.add(waiting);
    const over = (): boolean => waiting.requested || orElse();
    try {
      await (everyMs === undefined ? condition(over) : condition(over, everyMs, { summary: 'tries again by itself' }));
    } finally {
      this.waiting.delete(waiting);
    }
  }

  /** Asks for a retry of one table or, without a name, of everything that waits. Answers why not, where it cannot. */
  request(table: unknown): string | undefined {
    if (table !== undefined && table !== null && typeof table !== 'string') {
      return 'retry: give the name of a table as text, or nothing to retry all';
    }
    const meant = [...this.waiting].filter(({ subject }) => !table || subject === table);
    if (meant.length === 0) {
      return table ? `retry: table '${table}' does not wait for a retry` : 'retry: nothing waits for a retry';
    }
    for (const waiting of meant) waiting.requested = true;
    return undefined;
  }
}
