import { MalformedResponse, ResponseReader, type ResponseHead } from '../../../src/stores/http/response-reader';

interface Read {
  readonly head?: ResponseHead;
  readonly body: string;
  readonly ended: boolean;
  readonly leavesConnection: boolean;
}

/** What is told of `pieces`, which come one after the other in memory that is used again. */
function read(pieces: readonly string[], connectionEnds = false): Read {
  let head: ResponseHead | undefined;
  let body = '';
  let ends = 0;
  const reader = new ResponseReader({
    head: (given) => (head = given),
    body: (bytes) => (body += bytes.toString('latin1')),
    end: () => (ends += 1),
  });
  const memory = Buffer.alloc(64 * 1024);
  for (const piece of pieces) reader.read(memory.subarray(0, memory.write(piece, 'latin1')));
  if (connectionEnds) reader.connectionEnded();
  expect(ends).toBeLessThanOrEqual(1);
  return {
    ...(head === undefined ? {} : { head }),
    body,
    ended: ends === 1,
    leavesConnection: reader.leavesConnection,
  };
}

const answers: readonly [what: string, text: string, expected: Read][] = [
  [
    'a body of a length',
    'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Goog-Hash: crc32c=a\r\nx-goog-hash: md5=b\r\n\r\nhello',
    {
      head: { status: 200, headers: { 'content-length': '5', 'x-goog-hash': 'crc32c=a, md5=b' } },
      body: 'hello',
      ended: true,
      leavesConnection: true,
    },
  ],
  [
    'an empty body',
    'HTTP/1.1 200\r\ncontent-length:0\r\n\r\n',
    { head: { status: 200, headers: { 'content-length': '0' } }, body: '', ended: true, leavesConnection: true },
  ],
  [
    'no body',
    'HTTP/1.1 204 No Content\r\nserver: x\r\n\r\n',
    { head: { status: 204, headers: { server: 'x' } }, body: '', ended: true, leavesConnection: true },
  ],
  [
    'a body in chunks, with extensions and trailers',
    'HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\nA\r\n, world!\r\n\r\n0\r\nx-trailer: 1\r\n\r\n',
    {
      head: { status: 403, headers: { 'transfer-encoding': 'chunked' } },
      body: 'hello, world!\r\n',
      ended: true,
      leavesConnection: true,
    },
  ],
  [
    'what comes before the answer',
    'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok',
    { head: { status: 200, headers: { 'content-length': '2' } }, body: 'ok', ended: true, leavesConnection: true },
  ],
  [
    'an answer that closes its connection',
    'HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno',
    {
      head: { status: 400, headers: { connection: 'close', 'content-length': '2' } },
      body: 'no',
      ended: true,
      leavesConnection: false,
    },
  ],
  [
    'an answer of HTTP/1.0',
    'HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok',
    { head: { status: 200, headers: { 'content-length': '2' } }, body: 'ok', ended: true, leavesConnection: false },
  ],
];

test.each(answers)('%s is read', (_what, text, expected) => {
  expect(read([text])).toEqual(expected);
});

test.each(answers)('%s is read wherever it is cut', (_what, text, expected) => {
  for (let cut = 1; cut < text.length; cut += 1) expect(read([text.slice(0, cut), text.slice(cut)])).toEqual(expected);
  expect(read(text.split(''))).toEqual(expected);
});

test('the go-ahead for a body is told, other news before the answer is not', () => {
  const proceed = jest.fn();
  const reader = new ResponseReader({ proceed, head: () => {}, body: () => {}, end: () => {} });
  reader.read(Buffer.from('HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n'));
  expect(proceed).not.toHaveBeenCalled();
  reader.read(Buffer.from('HTTP/1.1 100 Continue\r\n\r\n'));
  expect(proceed).toHaveBeenCalledTimes(1);
});

test('a body without a length lasts until the connection ends', () => {
  const text = 'HTTP/1.1 200 OK\r\n\r\nhello';
  expect(read([text])).toMatchObject({ body: 'hello', ended: false });
  expect(read([text, ' world'], true)).toMatchObject({ body: 'hello world', ended: true, leavesConnection: false });
});

test.each([
  ['something else', 'SSH-2.0-OpenSSH\r\n\r\n'],
  ['HTTP/2', 'HTTP/2 200\r\n\r\n'],
  ['no status', 'HTTP/1.1 OK\r\n\r\n'],
  ['a header without a name', 'HTTP/1.1 200 OK\r\n: x\r\n\r\n'],
  ['a header that goes on in the next line', 'HTTP/1.1 200 OK\r\na: b\r\n c\r\n\r\n'],
  ['a space before the colon', 'HTTP/1.1 200 OK\r\ncontent-length : 5\r\n\r\n'],
  ['two lengths', 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n'],
  ['a length that is none', 'HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n'],
  ['a length and chunks', 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n'],
  ['another encoding', 'HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n'],
  ['a chunk without a size', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nhello\r\n'],
  ['a chunk that is too long', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhello\r\n'],
  ['more than the answer', 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\r\n'],
  ['a head without end', `HTTP/1.1 200 OK\r\na: ${'b'.repeat(20_000)}`],
])('%s is refused', (_what, text) => {
  expect(() => read([text])).toThrow(MalformedResponse);
});

test.each([
  ['in the head', 'HTTP/1.1 200 OK\r\ncontent-le'],
  ['in a body of a length', 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhell'],
  ['in a chunk', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhell'],
  ['between chunks', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n'],
  ['before anything', ''],
])('a connection that ends %s has cut the answer off', (_where, text) => {
  expect(() => read([text], true)).toThrow('the connection ended before the answer did');
});
