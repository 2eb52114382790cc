import { activityInfo, sleep } from '@temporalio/activity';
import type { RunningDestinations } from '../stores/running-destinations';
import { accessCheckSpacingMs } from '../timing';
import { heartbeating } from './heartbeat';

/** A heartbeat: the next attempt asks this page anew. Who is asked twice comes to no harm, who is missed might. */
export interface RoundProgress {
  readonly page?: string | undefined;
  /** Of the pages before. */
  readonly asked: number;
}

/** Asks every destination to check its access, one by one, and returns how many there were. Waits for none of them. */
export const createAskForChecks = (running: () => RunningDestinations, spacingMs: number = accessCheckSpacingMs) =>
  async function askForChecks(): Promise<number> {
    const destinations = running();
    let progress = (activityInfo().heartbeatDetails as RoundProgress | undefined) ?? { asked: 0 };
    return heartbeating(
      () => progress,
      async () => {
        for (;;) {
          const { workflowIds, next } = await destinations.list(progress.page);
          const asked = progress.asked + (await askAll(workflowIds));
          if (next === undefined) return asked;
          progress = { page: next, asked };
        }
      },
    );

    async function askAll(workflowIds: readonly string[]): Promise<number> {
      let asked = 0;
      for (const workflowId of workflowIds) {
        if (await destinations.askToCheck(workflowId)) asked += 1;
        await sleep(spacingMs);
      }
      return asked;
    }
  };
