import type { Row } from "./run.ts";
/** Durable, integrated appends and proofs. Peer: Tessera's POSIX driver, 7,700/s with 1,024 writers (a published figure, not of this run). */
export declare function bench(): Promise<Row[]>;
