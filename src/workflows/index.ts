/** What the worker registers. */
export { destination } from './destination';
export { dump } from './dump';
export { notice } from './notice';
