import type { Digest } from "../digest.ts";
import type { HostAbilities } from "../sandbox/host.ts";

/** What making an environment needs from outside. */
export interface EnvironmentContext {
  /** `<home>/cache`: bodies by digest and assembled roots live below it. */
  cache: string;
  host: HostAbilities;
  /** One line for people, when something takes long or was found amiss. */
  onProgress?: (line: string) => void;
  signal?: AbortSignal;
}

/** A complete root file system in the cache: read by builds, never written. */
export interface EnvironmentRoot {
  /** Holds /usr, /etc, … */
  folder: string;
  /** See `rootDigest`. */
  digest: Digest;
}
