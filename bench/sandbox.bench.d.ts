import type { Row } from "./run.ts";
/** Start of /bin/true in our sandbox, with all that a build gets, against bare bubblewrap. */
export declare function bench(): Promise<Row[]>;
