import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import {
  allHandlersFinished,
  CancellationScope,
  condition,
  continueAsNew,
  defineWorkflowOptions,
  isCancellation,
  log,
  ParentClosePolicy,
  patched,
  setCurrentDetails,
  setHandler,
  sleep,
  startChild,
  upsertSearchAttributes,
  workflowInfo,
  type ChildWorkflowHandle,
} from '@temporalio/workflow';
import {
  dumpWorkflowId,
  identityOfWorkflow,
  taskQueues,
  type AccessCheck,
  type AccountId,
  type DestinationSettings,
  type DestinationState,
  type DestinationStatus,
  type DumpOutcome,
  type FailureType,
  type FolderName,
  type ModellingRun,
} from '../contract';
import { InvalidInput, parseDestination, parseModellingRun } from '../dump/inputs';
import { endOfMinuteMs, folderName } from '../dump/keys';
import { commitWithinMs } from '../timing';
import { Access } from './access';
import { AccessNotices } from './access-notices';
import { code, destinationDetails } from './details';
import { dump } from './dump';
import { endingFailure } from './faults';
import {
  checkAccessSignal,
  checkUpdate,
  connectUpdate,
  destinationStatusQuery,
  disconnectUpdate,
  dumpNowSignal,
  modellingRunSucceededSignal,
  pauseSignal,
  resumeSignal,
  searchAttributes,
  supersedeSignal,
  type Connected,
} from './messages';
import { accessTeller } from './notice-teller';
import { outcomeOf, stateAfter, wasTerminated } from './outcomes';
import { versioned } from './versioning';

/** What a destination hands on to itself when it continues as new. */
export interface CarriedState {
  readonly settings?: DestinationSettings | undefined;
  readonly paused: boolean;
  readonly pendingRun?: ModellingRun | undefined;
  readonly newestRun?: ModellingRun | undefined;
  /** Newest last. A run that is older than all of these is ignored anyway, as it is older than the newest. */
  readonly seenRunIds: readonly string[];
  /** The last folder given away: no two dumps share one. */
  readonly lastFolder?: FolderName | undefined;
  readonly recentDumps: readonly DumpOutcome[];
  readonly notes: readonly string[];
  readonly access?: AccessCheck | undefined;
  /** The refusal of access that a receiver was told of, and that has not been mended since. */
  readonly toldRefusal?: FailureType | undefined;
}

export interface DestinationInput {
  readonly state?: CarriedState;
  /** Continue as new after this many events, where that is earlier than Temporal suggests. */
  readonly historyEventsMax?: number;
}

const seenRunIdsMax = 200;
const recentDumpsMax = 20;
const notesMax = 5;

// It lives for ever: it goes on with each new version, whose code must replay what was recorded before.
defineWorkflowOptions(destination, versioned('AUTO_UPGRADE'));

/**
 * One customer's destination: an entity workflow that lives for ever, holds the settings, and delivers one dump at a time,
 * of the newest run.
 */
export async function destination({ state, historyEventsMax = Infinity }: DestinationInput = {}): Promise<void> {
  const { accountId } = identityOfWorkflow(workflowInfo().workflowId);
  const entity = new Destination(accountId, state);

  setHandler(destinationStatusQuery, () => entity.status);
  setHandler(connectUpdate, (input) => entity.connect(input), { validator: (input) => void parseDestination(input) });
  setHandler(checkUpdate, () => entity.check());
  setHandler(disconnectUpdate, () => entity.disconnect());
  setHandler(modellingRunSucceededSignal, (run) => entity.announce(run), {
    description: 'Sent by the modelling pipeline. Input: {"runId": …, "finishedAt": …, "dataset": …}',
  });
  // The descriptions are what the UI's dialog for signals shows.
  setHandler(pauseSignal, () => entity.pause(), { description: 'Begins no dump until resume. No input' });
  setHandler(resumeSignal, () => entity.resume(), { description: 'Delivers again. No input' });
  setHandler(dumpNowSignal, () => entity.dumpNow(), {
    description: 'Delivers the newest run, again if it was delivered before. No input',
  });
  setHandler(checkAccessSignal, () => entity.watchAccess(), {
    description: 'Checks access, as each day; a refusal is told by notice. Does nothing while paused. No input',
  });
  upsertSearchAttributes([{ key: searchAttributes.account, value: accountId }]);

  const historyIsLong = (): boolean =>
    workflowInfo().continueAsNewSuggested || workflowInfo().historyLength > historyEventsMax;

  // Only between dumps: a dump's result comes back to the execution that started it.
  while (!historyIsLong()) {
    await condition(() => entity.hasRunToDeliver || historyIsLong());
    if (entity.hasRunToDeliver && !historyIsLong()) await entity.deliverNewestRun();
  }
  await condition(allHandlersFinished);
  await continueAsNew<typeof destination>({
    state: entity.state,
    ...(historyEventsMax === Infinity ? {} : { historyEventsMax }),
  });
}

/** What is being delivered. Messages also come while Temporal starts the dump: they are about that dump, too. */
type Delivery =
  | { readonly state: 'starting' }
  /** To be cancelled when it has started: asked before, Temporal may find none, and lets it go on (seen with 1.29.1). */
  | { readonly state: 'called off' }
  | {
      readonly state: 'at work';
      readonly folder: FolderName;
      readonly runId: string;
      readonly scope: CancellationScope;
      readonly handle: ChildWorkflowHandle<typeof dump>;
    };

class Destination {
  private settings: DestinationSettings | undefined;
  private paused: boolean;
  private pendingRun: ModellingRun | undefined;
  private newestRun: ModellingRun | undefined;
  private seenRunIds: readonly string[];
  private lastFolder: FolderName | undefined;
  private recentDumps: readonly DumpOutcome[];
  private notes: readonly string[];
  private readonly accessNotices: AccessNotices;
  private readonly access: Access;
  private delivery: Delivery | undefined;

  constructor(
    private readonly accountId: AccountId,
    state: CarriedState = { paused: false, seenRunIds: [], recentDumps: [], notes: [] },
  ) {
    this.settings = state.settings;
    this.paused = state.paused;
    this.pendingRun = state.pendingRun;
    this.newestRun = state.newestRun;
    this.seenRunIds = state.seenRunIds;
    this.lastFolder = state.lastFolder;
    this.recentDumps = state.recentDumps;
    this.notes = state.notes;
    this.accessNotices = new AccessNotices(accessTeller(accountId), state.toldRefusal);
    this.access = new Access(
      accountId,
      () => this.settings,
      state.access,
      this.accessNotices,
      () => this.publish(),
    );
    this.publish();
  }

  get state(): CarriedState {
    const { settings, paused, pendingRun, newestRun, seenRunIds, lastFolder, recentDumps, notes } = this;
    const access = this.access.last;
    const toldRefusal = this.accessNotices.told;
    return { settings, paused, pendingRun, newestRun, seenRunIds, lastFolder, recentDumps, notes, access, toldRefusal };
  }

  get status(): DestinationStatus {
    const { accountId, settings, paused, pendingRun, newestRun, recentDumps, notes, delivery } = this;
    return {
      accountId,
      state: this.publicState,
      ...(settings === undefined ? {} : { settings }),
      paused,
      ...(delivery?.state !== 'at work'
        ? {}
        : {
            currentDump: {
              workflowId: delivery.handle.workflowId,
              folder: delivery.folder,
              runId: delivery.runId,
            },
          }),
      ...(pendingRun === undefined ? {} : { pendingRun }),
      ...(newestRun === undefined ? {} : { newestRun }),
      ...(this.access.shown === undefined ? {} : { access: this.access.shown }),
      recentDumps,
      notes,
    };
  }

  private get publicState(): DestinationState {
    if (this.settings === undefined) return 'NotConnected';
    if (this.paused) return 'Paused';
    if (this.delivery !== undefined) return 'Delivering';
    if (this.access.isRefused) return 'AccessRefused';
    const last = this.recentDumps.at(-1);
    return this.pendingRun !== undefined || last === undefined ? 'Waiting' : stateAfter(last);
  }

  get hasRunToDeliver(): boolean {
    return this.settings !== undefined && !this.paused && this.pendingRun !== undefined;
  }

  /** Proves access before the settings are taken: a destination that cannot be delivered to is never connected. */
  async connect(input: unknown): Promise<Connected> {
    const settings = parseDestination(input);
    try {
      const proof = await this.access.prove(settings);
      // A dump keeps the settings that it began with. Where they have changed, its run is delivered again by the new ones.
      if (this.delivery !== undefined && JSON.stringify(settings) !== JSON.stringify(this.settings)) {
        this.pendingRun ??= this.newestRun;
      }
      this.settings = settings;
      this.publish();
      await this.supersedeCurrentDump();
      return { settings, proof };
    } catch (error) {
      throw isCancellation(error) ? error : endingFailure(error);
    }
  }

  /** On request. The settings stay, whatever it says. */
  check(): Promise<AccessCheck> {
    return this.access.check();
  }

  /** Each day, or when an operator says so. Where nothing is to be delivered, there is nothing to know. */
  async watchAccess(): Promise<void> {
    if (this.settings !== undefined && !this.paused) await this.access.watch();
  }

  /** Nothing is delivered any more, the dump at work included. Runs are still noted. */
  async disconnect(): Promise<void> {
    this.settings = undefined;
    this.pendingRun = undefined;
    if (this.delivery?.state === 'at work') this.delivery.scope.cancel();
    else if (this.delivery !== undefined) this.delivery = { state: 'called off' };
    this.publish();
    const folder = this.lastFolder;
    // Where a bucket is connected meanwhile, the next dump may begin in the moment in which this one ends.
    await condition(() => this.delivery === undefined || this.lastFolder !== folder);
  }

  async announce(input: unknown): Promise<void> {
    let run: ModellingRun;
    try {
      run = parseModellingRun(input, Date.now());
    } catch (error) {
      if (!(error instanceof InvalidInput)) throw error;
      this.note(`modellingRunSucceeded: ${error.message}`);
      return;
    }
    if (this.seenRunIds.includes(run.runId)) return;
    this.seenRunIds = [...this.seenRunIds, run.runId].slice(-seenRunIdsMax);
    if (this.newestRun !== undefined && run.finishedAt < this.newestRun.finishedAt) {
      log.info('A run came after a newer one and is not delivered', { run, newestRun: this.newestRun });
      return;
    }
    this.newestRun = run;
    if (this.settings !== undefined) this.pendingRun = run;
    this.publish();
    await this.supersedeCurrentDump();
  }

  pause(): void {
    this.paused = true;
    this.publish();
  }

  async resume(): Promise<void> {
    this.paused = false;
    this.publish();
    await this.supersedeCurrentDump();
  }

  /** Delivers the newest run, again if need be: its instant is the only one that is known to be consistent. */
  async dumpNow(): Promise<void> {
    if (this.settings === undefined || this.newestRun === undefined) {
      this.note(`dumpNow: there is ${this.settings === undefined ? 'no connected bucket' : 'no run to deliver'} yet`);
      return;
    }
    this.pendingRun = this.newestRun;
    this.publish();
    await this.supersedeCurrentDump();
  }

  async deliverNewestRun(): Promise<void> {
    const startedAt = await this.freeMinute();
    const { settings, pendingRun: run } = this;
    // While the minute passed, somebody may have paused or disconnected.
    if (!this.hasRunToDeliver || settings === undefined || run === undefined) return;
    const folder = folderName(startedAt);
    this.lastFolder = folder;

    const scope = new CancellationScope();
    // To older code a run that was being started still waited.
    const waitsNoMore = patched('dump-being-started');
    if (waitsNoMore) {
      this.delivery = { state: 'starting' };
      this.pendingRun = undefined;
      this.publish();
    }
    let outcome: DumpOutcome | undefined;
    let mayStillCommit = false;
    try {
      outcome = await scope.run(async () => {
        const handle = await this.startDump(folder, { run, settings, startedAt: startedAt.toISOString() });
        const isCalledOff = this.delivery?.state === 'called off' || this.settings === undefined;
        if (handle === undefined) {
          if (waitsNoMore && !isCalledOff) this.pendingRun ??= run;
          return undefined;
        }
        if (!waitsNoMore && this.pendingRun === run) this.pendingRun = undefined;
        this.delivery = { state: 'at work', folder, runId: run.runId, scope, handle };
        this.publish();
        if (isCalledOff) scope.cancel();
        // Another run may have come while the dump was being started.
        else await this.supersedeCurrentDump();
        return handle.result();
      });
    } catch (error) {
      outcome = outcomeOf(error, folder, run.runId);
      mayStillCommit = wasTerminated(error);
    } finally {
      this.delivery = undefined;
      if (outcome !== undefined) this.recentDumps = [...this.recentDumps, outcome].slice(-recentDumpsMax);
      this.publish();
    }
    if (mayStillCommit) await sleep(commitWithinMs, { summary: 'the terminated dump may still be committing' });
    // A delivered dump proves much of what a check does, not all, and perhaps by older settings: the check itself decides.
    if (outcome?.outcome === 'delivered' && this.access.isRefused && patched('refusal-doubted')) {
      await this.watchAccess();
    }
  }

  /** Now, or the beginning of the next minute if this one's folder is given away. */
  private async freeMinute(): Promise<Date> {
    while (this.lastFolder !== undefined && folderName(new Date(Date.now())) <= this.lastFolder) {
      await sleep(endOfMinuteMs(this.lastFolder) - Date.now(), { summary: `folder ${this.lastFolder} is taken` });
    }
    return new Date(Date.now());
  }

  /** `undefined` where a dump of this folder exists that this destination has forgotten: the next minute is free. */
  private async startDump(
    folder: FolderName,
    input: Parameters<typeof dump>[0],
  ): Promise<ChildWorkflowHandle<typeof dump> | undefined> {
    try {
      return await startChild(dump, {
        workflowId: dumpWorkflowId(this.accountId, folder),
        taskQueue: taskQueues.control,
        args: [input],
        workflowIdReusePolicy: 'REJECT_DUPLICATE',
        parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL,
        typedSearchAttributes: [
          { key: searchAttributes.account, value: this.accountId },
          { key: searchAttributes.run, value: input.run.runId },
        ],
        staticSummary: `${this.accountId}: run ${code(input.run.runId)} into ${input.settings.bucket}`,
        priority: { fairnessKey: this.accountId },
      });
    } catch (error) {
      if (error instanceof WorkflowExecutionAlreadyStartedError) return undefined;
      throw error;
    }
  }

  /** Tells the dump at work that a newer run waits. A dump that waits for a person gives way, any other finishes first. */
  private async supersedeCurrentDump(): Promise<void> {
    const { delivery, pendingRun, paused } = this;
    if (delivery?.state !== 'at work' || pendingRun === undefined || paused) return;
    try {
      await delivery.handle.signal(supersedeSignal, pendingRun.runId);
    } catch (error) {
      if (isCancellation(error)) throw error;
      log.info('The dump had ended when it was told of a newer run', { error });
    }
  }

  private note(text: string): void {
    this.notes = [...this.notes, text].slice(-notesMax);
    this.publish();
  }

  private publish(): void {
    this.publishState();
    setCurrentDetails(destinationDetails(this.status));
  }

  /** Each change is an event of the history: only real ones are made. */
  private publishState(): void {
    // Asked anew each time: a destination that older code began publishes its state from its next change on.
    if (this.publicState === this.publishedState || !patched('destination-state')) return;
    this.publishedState = this.publicState;
    upsertSearchAttributes([{ key: searchAttributes.state, value: this.publicState }]);
  }

  private publishedState: DestinationState | undefined;
}
