import type { Digest } from "../digest.ts";
import type { HostAbilities } from "../sandbox/host.ts";

/** What making an environment needs from outside. */
export interface EnvironmentContext {
  /** `<home>/cache`: bodies by digest and assembled roots live below it. */
  cache: string;
  host: HostAbilities;
  /** One line for people, when something takes long. */
  onProgress?: (line: string) => void;
  /** One line for people, when something was found amiss: it is progress as well where nobody takes warnings. */
  onWarning?: (line: string) => void;
  signal?: AbortSignal;
}

/** Tells what was found amiss. */
export function warningsOf({ onWarning, onProgress }: EnvironmentContext): (line: string) => void {
  return onWarning ?? onProgress ?? ((): void => {});
}

/** A complete root file system in the cache: read by builds, never written. */
export interface EnvironmentRoot {
  /** Holds /usr, /etc, … */
  folder: string;
  /** See `rootDigest`. */
  digest: Digest;
  /**
   * Set for a root that was taken as it lies there: asks every file whether it
   * was changed. Undefined when none was; otherwise what was changed is named
   * and removed, the root is made anew, and that one is given: then whatever
   * ran in this one proves nothing.
   */
  confirm?: () => Promise<EnvironmentRoot | undefined>;
}
