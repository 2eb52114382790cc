/** Faults that show only between one dump and the next. */
import { anythingSince, before, type Fault } from './fault';
import { receiptPut, shardRead } from './traffic';

export const orders: readonly Fault[] = [
  {
    name: 'killed between two dumps',
    kind: 'order',
    delivers: 2,
    async stage(scene) {
      await scene.outcomeOf('run-1');
      // It waits for the next minute, whose name its folder bears.
      await scene.announceRun();
      const killedAtMs = await scene.replaceWorker();
      await scene.outcomeOf('run-2');
      return { ...anythingSince(killedAtMs), runId: 'run-2' };
    },
  },
  {
    name: 'a receipt that was given up on arrives after a newer one',
    kind: 'order',
    delivers: 2,
    async stage(scene) {
      const late = scene.arm('aws', { matches: receiptPut(scene), effect: { kind: 'deliver late' } });
      const asked = await late.hit;
      const killedAtMs = await scene.killWorker();
      await scene.startWorker();
      await scene.outcomeOf('run-1');
      await scene.announceRun();
      await scene.outcomeOf('run-2');
      late.release();
      await scene.answered('aws', asked);
      return { ...anythingSince(killedAtMs), runId: 'run-2' };
    },
  },
  {
    name: 'a staged shard vanishes: that dump ends without a receipt',
    kind: 'order',
    delivers: 1,
    async stage(scene) {
      const first = scene.arm('storage', { matches: shardRead(scene), effect: before });
      await first.hit;
      await scene.deleteLastStaged();
      first.release();
      await scene.outcomeOf('run-1');
      const endedAtMs = Date.now();
      await scene.announceRun();
      await scene.outcomeOf('run-2');
      return { ...anythingSince(endedAtMs), runId: 'run-2' };
    },
  },
];
