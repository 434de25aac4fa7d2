/** Lines longer than this are told by what they hold, not as lines. */
const LONG_LINE = 400;

/** Whether any line is so long that comparing lines would show nothing. */
export function hasLongLine(bytes: Uint8Array): boolean {
  for (let at = 0; at < bytes.length;) {
    const feed = bytes.indexOf(0x0a, at);
    const end = feed < 0 ? bytes.length : feed;
    if (end - at > LONG_LINE) return true;
    at = end + 1;
  }
  return false;
}
