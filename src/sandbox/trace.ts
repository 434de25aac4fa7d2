/**
 * What a traced build did: which programs it ran and which files they wrote.
 * Paths are absolute, as inside the sandbox.
 */
export interface Trace {
  /** In the order in which they began. A process that becomes another program is another one here. */
  processes: TracedProcess[];
  /** In order. */
  events: FileEvent[];
  /** Why it may be incomplete, in words; [] when it is complete. */
  doubts: string[];
}

export interface TracedProcess {
  /** Counts from 0. */
  id: number;
  /** Who started it, or what it was before; undefined for the first. */
  parent: number | undefined;
  argv: string[];
  /** Working directory when it began. */
  directory: string;
}

/** `write`: opened for writing, or truncated. `read`: opened for reading. */
export type FileEvent =
  | { process: number; what: "read" | "write" | "unlink"; path: string }
  | { process: number; what: "rename" | "link" | "symlink"; path: string; to: string };
