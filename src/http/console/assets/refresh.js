// Reads something again when the live figures say that it has changed, but no more often than every two seconds and never
// twice at a time.  So a page that shows lists asks for nothing while nothing happens.

import { watch } from "./figures.js";

const PAUSE = 2000;

// `sign` makes a text of a sample that changes when `read` would find something else.  Returns what ends it.
export function refresh(sign, read) {
  let [last, at, isReading, isDue] = [null, 0, false, false];
  return watch(async (sample) => {
    const now = sign(sample);
    isDue ||= now !== last;
    last = now;
    if (!isDue || isReading || performance.now() - at < PAUSE) return;
    [isDue, isReading, at] = [false, true, performance.now()];
    try {
      await read();
    } finally {
      isReading = false;
    }
  });
}
