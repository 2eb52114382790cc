/**
 * Interceptors that keep from a destination that its dump has started, until a test says so: what a message finds in
 * between takes milliseconds otherwise, which no test can aim at.
 */
import {
  CancellationScope,
  condition,
  defineSignal,
  setHandler,
  type WorkflowInterceptors,
} from '@temporalio/workflow';

export const tellStartSignal = defineSignal('tellStart');

export function interceptors(): WorkflowInterceptors {
  let isTold = false;
  setHandler(tellStartSignal, () => void (isTold = true));

  async function whenTold(started: Promise<string>): Promise<string> {
    try {
      return await started;
    } finally {
      // As Temporal's own answer, it comes also where the dump has been cancelled meanwhile.
      await CancellationScope.nonCancellable(() => condition(() => isTold));
    }
  }

  return {
    outbound: [
      {
        async startChildWorkflowExecution(input, next) {
          const [started, completed] = await next(input);
          return [input.workflowType === 'dump' ? whenTold(started) : started, completed];
        },
      },
    ],
  };
}
