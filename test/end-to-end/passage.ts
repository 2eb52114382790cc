/** How one request passes through a proxy, with the fault that is armed for it. */
import http from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { Answer, Asked, Effect, Recorded } from './fault-proxy';

export interface Fault {
  readonly effect: Effect;
  /** Says that it is being done now. False if it was done often enough: then it is not done. */
  readonly strike: (asked: Asked) => boolean;
  readonly released: Promise<void>;
}

export interface Passing {
  readonly target: URL;
  readonly request: http.IncomingMessage;
  readonly response: http.ServerResponse;
  readonly asked: Asked;
  readonly fault: Fault | undefined;
  readonly latencyMs: number;
  readonly record: (recorded: Recorded) => void;
}

class Reset extends Error {}

export async function pass(passing: Passing): Promise<void> {
  const { response, latencyMs } = passing;
  try {
    if (latencyMs > 0) await delay(latencyMs);
    const late = passing.fault?.effect.kind === 'deliver late';
    if (response.destroyed && !late) return;
    await exchange(passing);
  } catch (error) {
    if (error instanceof Reset) response.socket?.resetAndDestroy();
    response.destroy();
  }
}

async function exchange(passing: Passing): Promise<void> {
  const { asked, fault, response, record } = passing;
  const effect = fault?.effect;
  const late = effect?.kind === 'deliver late';
  if (effect?.kind === 'answer' && effect.after === 'nothing' && fault?.strike(asked) === true) {
    passing.request.resume();
    return reply(response, effect.answer);
  }
  const body = late ? Readable.from([await wholeBody(passing)]) : bodyOf(passing);
  if (late && fault?.strike(asked) === true) await fault.released;

  const answer = await forward(passing, body, late);
  const received: Buffer[] = [];
  const taken = async function* (source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of source) {
      received.push(chunk);
      yield chunk;
    }
    const status = answer.statusCode ?? 0;
    record({ ...asked, endedAtMs: Date.now(), status, answer: Buffer.concat(received).toString() });
  };
  if (effect?.kind === 'answer' || effect?.kind === 'hold answer like') {
    const whole = await collected(taken(answer));
    if (effect.kind === 'answer' && fault?.strike(asked) === true) return reply(response, effect.answer);
    if (effect.kind === 'hold answer like' && effect.like.test(whole.toString()) && fault?.strike(asked) === true) {
      await fault.released;
    }
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    response.end(whole);
    return;
  }
  if (effect?.kind === 'rewrite') {
    const whole = (await collected(taken(answer))).toString();
    const changedAnswer = fault?.strike(asked) === true ? effect.change(whole) : whole;
    const { statusCode: status = 502, headers } = answer;
    return reply(response, { status, contentType: headers['content-type'] ?? '', body: changedAnswer });
  }
  if (late || isWhole(effect, 'answer')) {
    const whole = await collected(taken(answer));
    if (!late) await struck(fault, asked);
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    response.end(whole);
    return;
  }
  response.writeHead(answer.statusCode ?? 502, answer.headers);
  await pipeline(answer, taken, (source) => changed(source, 'answer', fault, asked), response);
}

/** Whether the effect is on this side before anything of it has passed. */
const isWhole = (effect: Effect | undefined, side: 'request' | 'answer'): boolean =>
  (effect?.kind === 'hold' || effect?.kind === 'reset') && effect.side === side && effect.afterBytes === undefined;

async function struck(fault: Fault | undefined, asked: Asked): Promise<void> {
  if (fault?.strike(asked) !== true) return;
  if (fault.effect.kind === 'reset') throw new Reset();
  await fault.released;
}

/** Sends the request on. Where the program has gone away, the service sees its connection break, unless it is delivered late. */
async function forward(passing: Passing, body: Readable, late: boolean): Promise<http.IncomingMessage> {
  const { target, request, response, asked, fault } = passing;
  if (isWhole(fault?.effect, 'request')) await struck(fault, asked);
  if (response.destroyed && !late) throw new Error('The program has gone away');
  const { method, headers } = request;
  const forwarded = http.request({ hostname: target.hostname, port: target.port, path: request.url, method, headers });
  if (!late) response.once('close', () => forwarded.destroy());
  const answered = new Promise<http.IncomingMessage>((resolve, reject) => {
    forwarded.once('response', resolve);
    forwarded.once('error', reject);
  });
  const sent = pipeline(body, (source) => changed(source, 'request', fault, asked), forwarded);
  // A service may answer before it has read all: then its answer counts, not that the rest was not taken.
  return Promise.race([answered, sent.then(() => answered)]);
}

/** A body as it passes, with what the fault does to it on the way. */
async function* changed(
  source: AsyncIterable<Buffer>,
  side: 'request' | 'answer',
  fault: Fault | undefined,
  asked: Asked,
): AsyncGenerator<Buffer> {
  const effect = fault?.effect;
  const isHere = effect !== undefined && 'side' in effect && effect.side === side && !isWhole(effect, side);
  let leftBytes = effect !== undefined && 'afterBytes' in effect ? (effect.afterBytes ?? 0) : 0;
  let done = !isHere;
  for await (const chunk of source) {
    if (done || chunk.length <= leftBytes) {
      leftBytes -= chunk.length;
      yield chunk;
      continue;
    }
    done = true;
    if (effect?.kind === 'damage') {
      yield fault?.strike(asked) === true ? damaged(chunk) : chunk;
      continue;
    }
    if (leftBytes > 0) yield chunk.subarray(0, leftBytes);
    await struck(fault, asked);
    yield chunk.subarray(leftBytes);
  }
}

function damaged(chunk: Buffer): Buffer {
  const copy = Buffer.from(chunk);
  const middle = copy.length >> 1;
  copy[middle] = (copy[middle] ?? 0) ^ 1;
  return copy;
}

const bodyOf = ({ request, asked }: Passing): Readable =>
  request.readableEnded ? Readable.from([Buffer.from(asked.body)]) : request;

const wholeBody = ({ request, asked }: Passing): Promise<Buffer> =>
  request.readableEnded ? Promise.resolve(Buffer.from(asked.body)) : collected(request);

async function collected(source: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of source) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function reply(response: http.ServerResponse, { status, contentType, body }: Answer): void {
  response.writeHead(status, { 'content-type': contentType, 'content-length': Buffer.byteLength(body) });
  response.end(body);
}
