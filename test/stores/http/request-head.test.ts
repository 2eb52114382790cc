import { requestHead } from '../../../src/stores/http/request-head';

test('a head is a line, a line for each header, and an empty one', () => {
  expect(
    requestHead({ method: 'PUT', target: '/a%20b?x-id=PutObject', headers: { host: 'h', 'x-amz-acl': 'b' } }),
  ).toBe('PUT /a%20b?x-id=PutObject HTTP/1.1\r\nhost: h\r\nx-amz-acl: b\r\n\r\n');
});

test.each([
  ['a header that ends its line', { target: '/', headers: { a: 'b\r\nc: d' } }],
  ['a header whose name holds a line', { target: '/', headers: { 'a\r\nb': 'c' } }],
  ['a target that ends its line', { target: '/ HTTP/1.1\r\nc: d', headers: {} }],
  ['a target that is no path', { target: 'http://elsewhere/', headers: {} }],
])('%s is refused', (_what, { target, headers }) => {
  expect(() => requestHead({ method: 'GET', target, headers })).toThrow(
    /Invalid character|valid HTTP token|percent-encoded/,
  );
});
