import { type Statement } from "../src/attest/statement.ts";
import { type Digest } from "../src/digest.ts";
import { type Keys } from "../src/keys/keys.ts";
import { type Log } from "../src/log/writer.ts";
import type { VerifyRequest } from "../src/policy/verify.ts";
import type { World } from "../src/world.ts";
export declare const ARTIFACT: Uint8Array;
export declare const DIGEST: Digest;
export declare const BUILDER = "https://bitforbit.dev/builder/local";
export declare const SOURCE = "git+https://example.org/hello.git";
export declare const NOW: number;
export declare const world: (name: string) => World;
export interface Home {
  folder: string;
  keys: Keys;
  log: Log;
  /** Provenance, SBOM and reproduction of ARTIFACT. */
  statements: [Statement, Statement, Statement];
  bundles: Uint8Array[];
  request: VerifyRequest;
  sign(statements: readonly Statement[]): Promise<Uint8Array[]>;
}
export declare function statementsAbout(digest: Digest): [Statement, Statement, Statement];
/** Makes a home of its own; `before` leaves are in the log already, so that proofs have a few hashes. */
export declare function makeHome(before?: number): Promise<Home>;
export declare function removeHome(home: Home): void;
