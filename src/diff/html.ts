import type { Reading } from "./reading.ts";
export function* reportHtml(reading: Reading): Generator<string> {
  yield reading.a.name;
}
