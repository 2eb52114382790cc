import { Context } from '@temporalio/activity';
import { heartbeatEveryMs } from '../timing';

/**
 * Runs `work` and shows all the while that it lives. An activity that never heartbeats can neither be cancelled nor be
 * missed when its worker dies. What is soon done shows it by its end. The last details are sent when the work fails: the
 * next attempt begins from them.
 */
export async function heartbeating<T>(details: () => unknown, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const context = Context.current();
  const beat = (): void => {
    context.heartbeat(details());
  };
  const timer = setInterval(beat, heartbeatEveryMs);
  try {
    return await work(context.cancellationSignal);
  } catch (error) {
    beat();
    throw error;
  } finally {
    clearInterval(timer);
  }
}
