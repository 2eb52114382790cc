/** `status` for people: plain lines, and progress bars where a terminal can show them. */
import { MultiBar, Presets, type SingleBar } from 'cli-progress';
import type { AccessCheck, DumpOutcome, Fault, TableProgress } from '../contract';
import { bytesText } from '../dump/text';
import type { DestinationReport, DumpReport } from './destinations';

export function statusLines({ destination, dump }: DestinationReport): string[] {
  const { settings, paused, pendingRun, recentDumps, notes, access } = destination;
  const state = settings === undefined ? 'not connected' : paused ? 'paused' : 'connected';
  const where = settings === undefined ? '' : `: s3://${settings.bucket}/${settings.path ?? ''}`;
  const last = recentDumps.at(-1);
  return [
    `${destination.accountId} is ${state}${where}`,
    `state: ${dump?.state === 'NeedsAttention' ? dump.state : destination.state}`,
    ...accessLines(access),
    ...(dump === undefined ? ['no dump at work'] : dumpLines(dump)),
    ...(pendingRun === undefined ? [] : [`waiting run: ${pendingRun.runId}`]),
    ...(last === undefined
      ? []
      : [`last dump: ${last.folder} (run ${last.runId}) ${last.outcome}${'reason' in last ? `: ${last.reason}` : ''}`]),
    ...notes.map((note) => `not followed: ${note}`),
  ];
}

function accessLines(access: AccessCheck | undefined): string[] {
  switch (access?.state) {
    case undefined:
      return [];
    case 'checking':
      return [`access: refused so far, attempt ${access.attempt}: ${access.fault.problem}`];
    case 'passed':
      return [`access: proven ${access.at}`];
    case 'failed':
      return [`access: failed ${access.at}: ${access.problem}`];
  }
}

export const dumpLines = (dump: DumpReport): string[] => [
  `dump ${dump.folder} of run ${dump.run.runId}: ${dump.state}, ${dump.step}`,
  ...(dump.stepFault === undefined ? [] : [`  ${faultText(dump.stepFault)}`]),
  ...Object.entries(dump.tables).map(([table, progress]) => `  ${table.padEnd(24)} ${tableText(progress)}`),
  ...dump.retrying.map((trouble) => `  retrying ${trouble}`),
];

function tableText(progress: TableProgress): string {
  switch (progress.state) {
    case 'waiting':
    case 'extracting':
      return progress.state;
    case 'copying':
      return `copying: ${amountText(progress)}, ${rateText(progress)}`;
    case 'uploading schema':
    case 'delivered':
      return `${progress.state}: ${progress.total.shards} shards, ${bytesText(progress.total.bytes)}`;
    case 'needs attention':
      return `needs attention: ${faultText(progress.fault)}`;
  }
}

const faultText = ({ type, problem, mender, remedy }: Fault): string =>
  `${type}: ${problem} To be mended by the ${mender}: ${remedy}`;

type Copying = Extract<TableProgress, { state: 'copying' }>;

const amountText = ({ copied, total }: Copying): string =>
  `${copied.shards} of ${total.shards} shards, ${bytesText(copied.bytes)} of ${bytesText(total.bytes)}`;

/** Since the copy began, or was begun again. */
function rateText({ copied, since }: Copying): string {
  const seconds = Math.max((Date.now() - since.atMs) / 1000, 1);
  return `${bytesText(Math.round((copied.bytes - since.bytes) / seconds))}/s`;
}

/** Shows each report as it comes, until it is stopped. */
export interface ProgressView {
  show(report: DestinationReport): void;
  stop(): void;
}

export const createProgressView = (terminal: NodeJS.WriteStream): ProgressView =>
  terminal.isTTY ? new BarsView(terminal) : new LinesView((line) => terminal.write(`${line}\n`));

/** Where nothing can be drawn: a line when something has changed. */
class LinesView implements ProgressView {
  private shown = new Set<string>();

  constructor(private readonly write: (line: string) => void) {}

  show(report: DestinationReport): void {
    const lines = new Map(statusLines(report).map((line) => [withoutRate(line), line]));
    for (const [known, line] of lines) if (!this.shown.has(known)) this.write(line);
    this.shown = new Set(lines.keys());
  }

  stop(): void {}
}

/** A rate changes also while nothing moves. */
const withoutRate = (line: string): string => line.replace(/, [^,]*\/s$/, '');

/** One bar a table. */
class BarsView implements ProgressView {
  private bars: MultiBar | undefined;
  private readonly tables = new Map<string, SingleBar>();
  private folder: string | undefined;

  constructor(private readonly terminal: NodeJS.WriteStream) {}

  show({ destination, dump }: DestinationReport): void {
    if (dump === undefined) return this.end(destination.recentDumps.at(-1));
    if (dump.folder !== this.folder) this.begin(dump);
    for (const [table, progress] of Object.entries(dump.tables)) this.draw(table, barOf(progress));
  }

  stop(): void {
    this.bars?.stop();
    this.bars = undefined;
    this.folder = undefined;
    this.tables.clear();
  }

  /** The last that was seen of a dump may be short of its end. */
  private end(last: DumpOutcome | undefined): void {
    if (last?.folder === this.folder && last?.outcome === 'delivered') {
      for (const [table, bar] of this.tables)
        this.draw(table, { done: bar.getTotal(), total: bar.getTotal(), note: 'delivered' });
    }
    this.stop();
  }

  private draw(table: string, { done, total, note }: BarState): void {
    const bar = this.tables.get(table);
    bar?.setTotal(total ?? 1);
    bar?.update(done, { note, shards: total === undefined ? '' : `${done}/${total} shards` });
  }

  private begin(dump: DumpReport): void {
    this.stop();
    this.terminal.write(`dump ${dump.folder} of run ${dump.run.runId}\n`);
    this.folder = dump.folder;
    const options = { format: '{table} {bar} {shards}  {note}', stream: this.terminal, barsize: 24, hideCursor: true };
    this.bars = new MultiBar({ ...options, forceRedraw: true }, Presets.shades_classic);
    for (const table of Object.keys(dump.tables)) {
      this.tables.set(table, this.bars.create(1, 0, { table: table.padEnd(22), shards: '', note: 'waiting' }));
    }
  }
}

interface BarState {
  readonly done: number;
  /** Absent until the table's shards are known. */
  readonly total?: number;
  readonly note: string;
}

function barOf(progress: TableProgress): BarState {
  switch (progress.state) {
    case 'waiting':
    case 'extracting':
      return { done: 0, note: progress.state };
    case 'copying':
      return {
        done: progress.copied.shards,
        total: progress.total.shards,
        note: `${bytesText(progress.copied.bytes)}, ${rateText(progress)}`,
      };
    case 'uploading schema':
    case 'delivered':
      return {
        done: progress.total.shards,
        total: progress.total.shards,
        note: `${progress.state}, ${bytesText(progress.total.bytes)}`,
      };
    case 'needs attention':
      return {
        done: progress.copied.shards,
        ...(progress.total === undefined ? {} : { total: progress.total.shards }),
        note: `needs attention: ${progress.fault.type}`,
      };
  }
}
