import type { Row } from "./run.ts";
/** Start-up of the built command line against an empty Node. */
export declare function bench(): Promise<Row[]>;
