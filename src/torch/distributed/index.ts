/** Processes that compute together, by c10d. */
export { type JoinOptions, join } from './join.ts';
export { freePort, rankEnvironment } from './local.ts';
export { firstNode, type Meeting, meetingFromEnvironment } from './meeting.ts';
export { available } from './native.ts';
export { exitNow, ProcessGroup, type Reduction } from './process-group.ts';
export { Reducer } from './reducer.ts';
