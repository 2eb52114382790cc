/** What the worker registers. */
export { accessRound } from './access-round';
export { destination } from './destination';
export { dump } from './dump';
export { notice } from './notice';
