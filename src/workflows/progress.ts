import { setCurrentDetails, upsertSearchAttributes } from '@temporalio/workflow';
import type {
  AccountId,
  Copied,
  DumpState,
  DumpStatus,
  Fault,
  FolderName,
  ModellingRun,
  StagedTable,
  TableName,
  TableProgress,
} from '../contract';
import { dumpDetails } from './details';
import { searchAttributes } from './messages';

const notesMax = 5;

/** What a dump has achieved, kept where operators look: the `status` query, the UI's details, the UI's list. */
export class DumpProgress {
  private state: DumpState = 'Running';
  private step = 'assume role';
  private stepFault: Fault | undefined;
  private readonly tables: Map<TableName, TableProgress>;
  private stagingLeft: string | undefined;
  private readonly notes: string[] = [];

  constructor(
    private readonly accountId: AccountId,
    private readonly folder: FolderName,
    private readonly run: ModellingRun,
    tables: readonly TableName[],
  ) {
    this.tables = new Map(tables.map((table) => [table, { state: 'waiting' }]));
    this.publish();
  }

  get status(): DumpStatus {
    return {
      accountId: this.accountId,
      folder: this.folder,
      run: this.run,
      state: this.state,
      step: this.step,
      ...(this.stepFault === undefined ? {} : { stepFault: this.stepFault }),
      tables: Object.fromEntries(this.tables),
      ...(this.stagingLeft === undefined ? {} : { stagingLeft: this.stagingLeft }),
      notes: this.notes,
    };
  }

  /** Whether something is being done that does not wait for a person. */
  get isAtWork(): boolean {
    const working = ({ state }: TableProgress): boolean =>
      state === 'extracting' || state === 'copying' || state === 'uploading schema';
    return [...this.tables.values()].some(working) || (this.stepFault === undefined && !this.someTableWaits);
  }

  begin(step: string): void {
    this.step = step;
    this.stepFault = undefined;
    this.publish();
  }

  extracting(table: TableName): void {
    this.set(table, { state: 'extracting' });
  }

  copying(table: TableName, staged: StagedTable, copied: Copied): void {
    this.set(table, { state: 'copying', copied, total: totalOf(staged), since: { ...copied, atMs: Date.now() } });
  }

  copied(table: TableName, more: Copied): void {
    const before = this.tables.get(table);
    if (before?.state !== 'copying') return;
    this.set(table, { ...before, copied: sum(before.copied, more) });
  }

  uploadingSchema(table: TableName, staged: StagedTable): void {
    this.set(table, { state: 'uploading schema', total: totalOf(staged) });
  }

  delivered(table: TableName, staged: StagedTable): void {
    this.set(table, { state: 'delivered', total: totalOf(staged) });
  }

  needsAttention(subject: TableName | undefined, fault: Fault): void {
    if (subject === undefined) {
      this.stepFault = fault;
      this.publish();
      return;
    }
    const before = this.tables.get(subject);
    const copied = before !== undefined && 'copied' in before ? before.copied : nothing;
    const total = before !== undefined && 'total' in before ? { total: before.total } : {};
    this.set(subject, { state: 'needs attention', fault, copied, ...total });
  }

  /** Answers a message that could not be followed, where its sender looks. */
  note(text: string): void {
    this.notes.push(text);
    if (this.notes.length > notesMax) this.notes.shift();
    this.publish();
  }

  leftStaging(why: string): void {
    this.stagingLeft = why;
    this.publish();
  }

  ended(state: DumpState, step: string): void {
    this.state = state;
    this.step = step;
    this.publish();
  }

  get total(): Copied {
    const totals = [...this.tables.values()].map((table) => (table.state === 'delivered' ? table.total : nothing));
    return totals.reduce(sum, nothing);
  }

  private get someTableWaits(): boolean {
    return [...this.tables.values()].some(({ state }) => state === 'needs attention');
  }

  private set(table: TableName, progress: TableProgress): void {
    this.tables.set(table, progress);
    this.publish();
  }

  private publish(): void {
    this.publishState();
    setCurrentDetails(dumpDetails(this.status));
  }

  /** Each change is an event of the history: only real ones are made. */
  private publishState(): void {
    if (this.state === 'Running' || this.state === 'NeedsAttention') {
      this.state = this.stepFault !== undefined || this.someTableWaits ? 'NeedsAttention' : 'Running';
    }
    if (this.state === this.publishedState) return;
    this.publishedState = this.state;
    upsertSearchAttributes([{ key: searchAttributes.state, value: this.state }]);
  }

  private publishedState: DumpState | undefined;
}

const nothing: Copied = { shards: 0, bytes: 0 };

export const sum = (one: Copied, other: Copied): Copied => ({
  shards: one.shards + other.shards,
  bytes: one.bytes + other.bytes,
});

const totalOf = ({ shardCount, sizeBytes }: StagedTable): Copied => ({ shards: shardCount, bytes: sizeBytes });
