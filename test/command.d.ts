import type { TestContext } from "node:test";
export interface Ran {
  code: number | null;
  stdout: string;
  stderr: string;
}
/** A folder that goes with the test. */
export declare function scratchFolder(t: TestContext): string;
export declare function writeFiles(folder: string, files: Readonly<Record<string, string>>): void;
/** A git checkout with one commit of `files`, dated 2024-03-02. */
export declare function project(t: TestContext, files: Readonly<Record<string, string>>): string;
export declare function git(folder: string, ...args: string[]): string;
export declare function bitforbit(
  folder: string,
  args: readonly string[],
  env?: Readonly<Record<string, string>>,
): Promise<Ran>;
export declare function removeAll(path: string): void;
