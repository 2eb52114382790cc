import { ensureBrowser } from '../sandbox/browser';
import { prepareTemporalServers } from '../sandbox/temporal-server';
import { cfnLint, ensureTool, fakeGcsServer, hcldec, ministack } from '../sandbox/toolchain';

/** Before any test: everything that tests start is on the machine. */
export default async function setUp(): Promise<void> {
  const say = (line: string): void => console.log(line);
  await ensureTool(ministack, say);
  await ensureTool(fakeGcsServer, say);
  await ensureTool(cfnLint, say);
  await ensureTool(hcldec, say);
  await prepareTemporalServers(say);
  await ensureBrowser(say);
}
