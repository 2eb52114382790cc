import { ensureTool, fakeGcsServer, ministack } from '../sandbox/toolchain';
import { startTemporalServer, startTimeSkippingServer } from '../sandbox/temporal-server';
