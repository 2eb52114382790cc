/** The Markdown that the Temporal UI shows as a workflow's current details. Pure. */
import type {
  AccessCheck,
  Copied,
  DestinationStatus,
  DumpOutcome,
  DumpStatus,
  Fault,
  TableProgress,
} from '../contract';
import { bytesText } from '../dump/text';

export function dumpDetails(status: DumpStatus): string {
  const { accountId, folder, run, state, step, stepFault, tables, stagingLeft, notes } = status;
  const rows = Object.entries(tables).map(([table, progress]) => tableRow(table, progress));
  const faults = [
    ...(stepFault === undefined ? [] : [faultSection(step, stepFault)]),
    ...Object.entries(tables).flatMap(([table, progress]) =>
      progress.state === 'needs attention' ? [faultSection(table, progress.fault)] : [],
    ),
  ];
  return lines(
    `**${state}**: ${code(step)}`,
    '',
    `Account ${code(accountId)}, folder ${code(folder)}, run ${code(run.runId)} of ${code(run.dataset)}, read as of ${run.finishedAt}`,
    '',
    '| table | state | shards | bytes |',
    '|---|---|---:|---:|',
    ...rows,
    ...faults.flatMap((section) => ['', section]),
    ...(stagingLeft === undefined
      ? []
      : ['', `Staging was not cleared and is left to the bucket's lifecycle rule: ${code(stagingLeft)}`]),
    ...ending(notes),
  );
}

export function destinationDetails(status: DestinationStatus): string {
  const { accountId, state, settings, currentDump, pendingRun, newestRun, recentDumps, notes } = status;
  const where =
    settings === undefined
      ? ['Runs are noted, nothing is delivered. Connect with the command `connect`.']
      : [
          `Bucket ${code(settings.bucket)}${settings.path === undefined ? '' : ` under ${code(settings.path)}`}, role ${code(settings.roleArn)}`,
          '',
          `Tables: ${settings.tables.map(code).join(', ')}`,
        ];
  const outcomes = recentDumps.toReversed().map(outcomeRow);
  const access = settings === undefined ? [] : accessSection(status.access);
  return lines(
    `**${state}**, account ${code(accountId)}`,
    '',
    ...where,
    ...access,
    '',
    `Dump at work: ${currentDump === undefined ? 'none' : code(currentDump.workflowId)}`,
    '',
    `Waiting run: ${pendingRun === undefined ? 'none' : code(pendingRun.runId)}; newest run: ${newestRun === undefined ? 'none' : code(newestRun.runId)}`,
    ...(outcomes.length === 0 ? [] : ['', '| folder | run | outcome |', '|---|---|---|', ...outcomes]),
    ...ending(notes),
  );
}

function accessSection(access: AccessCheck | undefined): string[] {
  switch (access?.state) {
    case undefined:
      return [];
    case 'passed':
      return ['', `Access proven: ${access.at}`];
    case 'checking':
      return ['', `Access is being proven; refused so far, attempt ${access.attempt}: ${code(access.fault.problem)}`];
    case 'failed':
      return [
        '',
        `### Access failed: ${access.fault?.type ?? 'not by refusal'}`,
        '',
        `At ${access.at}. Once it is mended, send the signal \`checkAccess\`: ${code(access.problem)}`,
      ];
  }
}

function tableRow(table: string, progress: TableProgress): string {
  return `| ${code(table)} | ${progress.state} | ${amount(progress, ({ shards }) => count(shards))} | ${amount(progress, ({ bytes }) => bytesText(bytes))} |`;
}

function amount(progress: TableProgress, show: (copied: Copied) => string): string {
  switch (progress.state) {
    case 'waiting':
    case 'extracting':
      return '';
    case 'copying':
      return `${show(progress.copied)} of ${show(progress.total)}`;
    case 'needs attention':
      return progress.total === undefined ? '' : `${show(progress.copied)} of ${show(progress.total)}`;
    case 'uploading schema':
    case 'delivered':
      return show(progress.total);
  }
}

/** What AWS and Google said is not ours: as inline code it cannot pose as anything. The UI does not show fenced code. */
function faultSection(subject: string, fault: Fault): string {
  const whose = { customer: 'The customer', vendor: 'We', nobody: 'Nobody' }[fault.mender];
  const again = fault.retriesHourly ? 'It is tried again every hour by itself.' : 'It waits for the signal.';
  return lines(
    `### ${code(subject)} needs attention: ${fault.type}`,
    '',
    `${whose} must mend this; then send the signal \`retry\`. ${again}`,
    '',
    `What failed: ${code(fault.problem)}`,
    '',
    `What to change: ${code(fault.remedy)}`,
  );
}

function outcomeRow(dump: DumpOutcome): string {
  const outcome =
    dump.outcome === 'delivered'
      ? `delivered: ${count(dump.total.shards)} shards, ${bytesText(dump.total.bytes)}`
      : `${dump.outcome}: ${code(dump.reason)}`;
  return `| ${code(dump.folder)} | ${code(dump.runId)} | ${outcome} |`;
}

const ending = (notes: readonly string[]): string[] => [
  ...(notes.length === 0
    ? []
    : ['', 'Messages that could not be followed:', '', ...notes.map((note) => `- ${code(note)}`)]),
  // The UI makes its frame a line too short: what stands last is out of sight.
  '',
  '---',
];

const lines = (...text: string[]): string => text.join('\n');

/** Text from outside as inline code: no backtick, pipe, angle bracket or line break of its own survives. */
export const code = (text: string): string => `\`${spaced(text.replace(/[`|<>\s]+/g, ' ')).slice(0, 2_000)}\``;

/** JSON with room to break lines at: the UI's frame is narrow, and what does not fit is out of sight. */
const spaced = (json: string): string => json.replace(/(?<=["\]}])[,:](?=["[{])/g, '$& ');

const count = (value: number): string => value.toLocaleString('en-GB');
