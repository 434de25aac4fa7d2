/** What normalising takes and gives. Adding a format is adding one file with one of these functions. */

/** What the outputs of a determinised build are held to. */
export interface Still {
  /** SOURCE_DATE_EPOCH, seconds: nothing says a later time. */
  epoch: number;
  /** Who built: what says them says root. */
  user: { uid: number; gid: number };
}

/** `done`: what was changed, in words, counted; none where the bytes are as they were. `left`: why nothing was. */
export type Normalised = { bytes: Uint8Array; done: string[] } | { left: string };

/** "12 times", "one owner". */
export const counted = (count: number, one: string, many: string): string[] =>
  count === 0 ? [] : [count === 1 ? `one ${one}` : `${count} ${many}`];
