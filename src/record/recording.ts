import type { Digest } from "../digest.ts";
import type { Checksums } from "../material.ts";

/** One request that was answered, and what the answer was. */
export interface Exchange {
  /** Upper case. */
  method: string;
  /** As the client asked, absolute, with its query, without credentials. */
  url: string;
  status: number;
  /** Of the response: those that clients act on, names in lower case, in order of name. */
  headers: [name: string, value: string][];
  /** Of the body as it was transferred: a content-encoding is kept. */
  digest: Digest;
  /** Bytes of the body as it was transferred. */
  size: number;
  /** The artifact that the body is, when protocol and content tell. */
  purl?: string;
  /** Of an artifact's body. */
  checksums?: Checksums;
}

/** All that a fetch phase asked for, in byte order of URL, then method. */
export interface Recording {
  version: 1;
  exchanges: Exchange[];
}
