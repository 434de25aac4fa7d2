/** The real cosign, as `scripts/cosign` fetches it. */
import { spawnSync } from "node:child_process";

let found: { path: string } | { skip: string } | undefined;

/** Its path, or why it could not be had: a reason that begins "cosign could not be had". */
export function cosign(): { path: string } | { skip: string } {
  if (found !== undefined) return found;
  const run = spawnSync("sh", ["scripts/cosign"], { encoding: "utf8", timeout: 180_000 });
  const path = run.stdout.trim();
  const why = run.stderr.trim().split("\n").at(-1) ?? "";
  found =
    run.status === 0 && path !== ""
      ? { path }
      : {
          skip: why.startsWith("cosign could not be had")
            ? why
            : `cosign could not be had: ${why || "no answer in time"}`,
        };
  return found;
}
