export type Command = readonly [program: string, ...args: string[]];
/** Medians of wall time in milliseconds, and of the ratio pair by pair. */
export declare function paired(
  a: Command,
  b: Command,
  runs?: number,
  options?: {
    cwd?: string;
  },
): {
  a: number;
  b: number;
  ratio: number;
};
export declare function median(values: readonly number[]): number;
