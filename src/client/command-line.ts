/** `s3-destination <command>`: what operators and data engineers do by hand. */
import { setTimeout as delay } from 'node:timers/promises';
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { WorkflowUpdateFailedError } from '@temporalio/client';
import { defaultTables, InvalidInput } from '../dump/inputs';
import { accessCheckKey } from '../dump/keys';
import { defaultExpireDays, defaultRoleName } from '../dump/set-up/set-up';
import { withDestinations, type DestinationReport, type Destinations } from './destinations';
import { customerStates, type CustomerState } from './overview';
import { moreText, overviewLines } from './overview-view';
import { RequestFailed } from './request-failed';
import { policyFormats, printPolicies } from './policies-command';
import { createProgressView, statusLines } from './status-view';

const watchEveryMs = 1000;
/** Customers that `status` shows. */
const limitByDefault = 50;

/** Runs one command. Exit code 0: done; 1: it failed; 2: an argument is wrong. */
export async function runCommandLine(argv: readonly string[]): Promise<number> {
  try {
    await createProgram().parseAsync([...argv]);
    return 0;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    console.error(sentenceOf(error));
    return error instanceof InvalidInput ? 2 : 1;
  }
}

function sentenceOf(error: unknown): string {
  if (error instanceof WorkflowUpdateFailedError) return error.cause?.message ?? error.message;
  return error instanceof Error ? error.message : String(error);
}

function createProgram(): Command {
  const program = new Command('s3-destination')
    .description("Delivers the data platform's tables into customers' S3 buckets.")
    .showHelpAfterError('Add --help to see what the command takes.')
    .exitOverride();

  command(program, 'connect', 'set or change where the tables of a customer go; proves access first')
    .requiredOption('--role-arn <arn>', "the customer role's ARN")
    .requiredOption('--bucket <name>', "the bucket's name, not its ARN")
    .option('--path <path>', 'what every key begins with')
    .option('--tables <names>', 'tables, separated by commas', commaSeparated, [...defaultTables])
    .option('--bucket-owner <account>', 'the AWS account that owns the bucket (default: the account of the role)')
    .option('--kms-key-arn <arn>', "the key to encrypt with (default: the bucket's own encryption)")
    .action(async (account: string, options: ConnectOptions) => {
      const { settings, proof } = await withDestinations((destinations) =>
        sayingWhatIsRefused(destinations, account, destinations.connect(account, options)),
      );
      console.log(`Connected: ${proof.assumedRoleArn} may be assumed, with this external id only.`);
      console.log(`s3://${settings.bucket}/${accessCheckKey(settings)} was put to try it.`);
      console.log(`Dumps go to s3://${settings.bucket}/${settings.path ?? ''}: ${settings.tables.join(', ')}.`);
    });

  command(program, 'check', 'prove access once more, as connect does').action(async (account: string) => {
    const check = await withDestinations((destinations) =>
      sayingWhatIsRefused(destinations, account, destinations.check(account)),
    );
    if (check.state === 'failed') throw new RequestFailed(check.problem);
    console.log('Access is proven: the next dump may do what it must.');
  });

  command(program, 'disconnect', 'deliver nothing any more; cancels the dump at work').action(
    say((destinations, account) => destinations.disconnect(account), 'Disconnected: nothing is delivered any more.'),
  );

  command(program, 'run-succeeded', 'say that a data-modelling run has succeeded, as the pipeline does')
    .requiredOption('--run-id <id>', 'the run')
    .requiredOption('--dataset <project.dataset>', 'where the run wrote')
    .option('--finished-at <instant>', 'RFC 3339: when the run finished (default: now)')
    .action(async (account: string, { runId, dataset, finishedAt }: RunOptions) => {
      const run = { runId, dataset, finishedAt: finishedAt ?? new Date() };
      await withDestinations((destinations) => destinations.modellingRunSucceeded(account, run));
      console.log(`Run ${runId} is noted. Watch it with: s3-destination status ${account} --watch`);
    });

  command(
    program,
    'status',
    'show how a customer stands or, without an account, all customers, failures first',
    '[account]',
  )
    .option('--watch', 'with an account: go on showing it until no dump is at work')
    .option('--json', 'as JSON, one object a line')
    .option('--limit <number>', `without an account: show so many customers (default: ${limitByDefault})`, wholeNumber)
    .addOption(
      new Option('--state <state>', 'without an account: only customers in this state').choices(customerStates),
    )
    .action((account: string | undefined, options: StatusOptions) =>
      account === undefined ? showOverview(options) : showStatus(account, options),
    );

  command(program, 'retry', 'try again what waits for a person')
    .option('--table <name>', 'only this table')
    .action(async (account: string, { table }: { table?: string }) => {
      const dump = await withDestinations((destinations) => destinations.retry(account, table));
      console.log(`Asked ${dump} to retry ${table ?? 'all that waits'}.`);
    });

  command(program, 'abandon', 'give the dump at work up: it ends without a receipt')
    .option('--reason <text>', 'why, for whoever reads of it later')
    .action(async (account: string, { reason }: { reason?: string }) => {
      const dump = await withDestinations((destinations) => destinations.abandon(account, reason));
      console.log(`Asked ${dump} to end without a receipt.`);
    });

  command(program, 'pause', 'begin no dump until resume; a dump at work goes on').action(
    say((destinations, account) => destinations.pause(account), 'Paused: the newest run waits for resume.'),
  );

  command(program, 'resume', 'deliver again, beginning with the run that waits').action(
    say((destinations, account) => destinations.resume(account), 'Resumed.'),
  );

  command(program, 'dump-now', 'deliver the newest run, again if it was delivered before').action(
    say((destinations, account) => destinations.dumpNow(account), 'Asked for a dump of the newest run.'),
  );

  command(program, 'policies', 'print what the customer sets up, filled in: role, policies, lifecycle')
    .option('--bucket <name>', 'the bucket (default: the one that is connected)')
    .option(
      '--kms-key-arn <arn>',
      "the key of the bucket's encryption, if it has one (default: the one that is connected, if the bucket is)",
    )
    .option('--vendor-role-arn <arn>', 'the role that customers trust (default: VENDOR_ROLE_ARN, as for workers)')
    .option('--path <path>', 'what every key begins with (default: the one that is connected, if the bucket is)')
    .option('--role-name <name>', `the customer role's name (default: ${defaultRoleName})`)
    .option('--expire-days <days>', `dumps expire after so many days (default: ${defaultExpireDays})`, wholeNumber)
    .option('--existing-bucket', 'the bucket is there: a template or module does not make it')
    .addOption(new Option('--format <format>', 'the form').choices(policyFormats).default('json'))
    .option('--template-url <url>', 'cloudformation: where in S3 the template will be, for a launch link')
    .option('--region <region>', 'cloudformation: where to launch')
    .action(printPolicies);

  return program;
}

/** Every command is about one customer, but `status` may be about all. Subcommands do not inherit the handling of errors. */
const command = (program: Command, name: string, description: string, account = '<account>'): Command =>
  program
    .command(name)
    .description(description)
    .argument(account, "the customer's account id, e.g. acc_7Hq2")
    .exitOverride();

interface ConnectOptions {
  readonly roleArn: string;
  readonly bucket: string;
  readonly path?: string;
  readonly tables: string[];
  readonly bucketOwner?: string;
  readonly kmsKeyArn?: string;
}

interface RunOptions {
  readonly runId: string;
  readonly dataset: string;
  readonly finishedAt?: string;
}

interface StatusOptions {
  readonly watch?: boolean;
  readonly json?: boolean;
  readonly limit?: number;
  readonly state?: CustomerState;
}

function commaSeparated(text: string): string[] {
  const names = text.split(',').map((name) => name.trim());
  if (names.includes('')) throw new InvalidArgumentError('A name between the commas is missing.');
  return names;
}

function wholeNumber(text: string): number {
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new InvalidArgumentError('It is a whole number from 1 to 999999.');
  return Number(text);
}

const say =
  (ask: (destinations: Destinations, account: string) => Promise<void>, done: string) => async (account: string) => {
    await withDestinations((destinations) => ask(destinations, account));
    console.log(done);
  };

async function showOverview({ watch, json, limit = limitByDefault, state }: StatusOptions): Promise<void> {
  if (watch === true) throw new InvalidInput('--watch is for one customer: name the account.');
  const overview = await withDestinations((destinations) => destinations.overview({ limit, state }));
  if (json !== true) return console.log(overviewLines(overview).join('\n'));
  for (const customer of overview.customers) console.log(JSON.stringify(customer));
  // Not among the objects, which a program reads.
  if (overview.more > 0) console.error(moreText(overview.more));
}

const sayRefusalEveryMs = 1000;

/** A refusal is believed only after a while: meanwhile, whoever waits sees why. */
async function sayingWhatIsRefused<T>(destinations: Destinations, account: string, proof: Promise<T>): Promise<T> {
  const over = new AbortController();
  const saying = sayRefusals(destinations, account, over.signal);
  try {
    return await proof;
  } finally {
    over.abort();
    await saying;
  }
}

async function sayRefusals(destinations: Destinations, account: string, over: AbortSignal): Promise<void> {
  let said = 0;
  while (!over.aborted) {
    await delay(sayRefusalEveryMs, undefined, { signal: over }).catch(() => undefined);
    const access = over.aborted ? undefined : await destinations.access(account).catch(() => undefined);
    if (access?.state !== 'checking' || access.attempt === said) continue;
    said = access.attempt;
    console.error(
      `Refused so far (attempt ${said}: ${access.fault.type}). What was changed seconds ago may need a while: trying again.`,
    );
  }
}

async function showStatus(account: string, { limit, state, ...options }: StatusOptions): Promise<void> {
  if (limit !== undefined || state !== undefined) {
    throw new InvalidInput('--limit and --state are for all customers: leave the account off.');
  }
  await withDestinations((destinations) => showCustomer(destinations, account, options));
}

async function showCustomer(
  destinations: Destinations,
  account: string,
  { watch, json }: StatusOptions,
): Promise<void> {
  const report = await destinations.status(account);
  if (watch !== true) {
    console.log(json === true ? JSON.stringify(report) : statusLines(report).join('\n'));
    return;
  }
  const view = json === true ? jsonView : createProgressView(process.stdout);
  const last = await watchUntil(destinations, account, view.show.bind(view), isIdle);
  view.stop();
  if (json !== true && process.stdout.isTTY) console.log(statusLines(last).join('\n'));
}

const jsonView = { show: (report: DestinationReport) => console.log(JSON.stringify(report)), stop: () => {} };

/** A dump that is being started is not there to be asked yet. */
export const isIdle = ({ destination, dump }: DestinationReport): boolean =>
  dump === undefined &&
  destination.state !== 'Delivering' &&
  (destination.pendingRun === undefined || destination.paused);

/** Shows the status every second, until `isEnough` holds of it. */
export async function watchUntil(
  destinations: Destinations,
  account: string,
  show: (report: DestinationReport) => void,
  isEnough: (report: DestinationReport) => boolean,
): Promise<DestinationReport> {
  for (;;) {
    const report = await destinations.status(account);
    show(report);
    if (isEnough(report)) return report;
    await delay(watchEveryMs);
  }
}
