import { BitforbitError } from "../errors.ts";
import { isDigest } from "../digest.ts";
import type { DebianEnvironment } from "../lock/environment.ts";
import { byteOrder } from "../order.ts";

/** Checks a locked environment that may have been edited by hand. Throws `input` with the offending value. */
export function checkLocked(locked: DebianEnvironment): void {
  if (!isDigest(locked.root)) throw bad(`root ${JSON.stringify(locked.root)}`);
  if (locked.packages.length === 0) throw bad("no packages");
  let before = "";
  for (const { name, version, architecture, sha256, size } of locked.packages) {
    const what = JSON.stringify({ name, version, architecture, sha256, size });
    if (!/^[a-z0-9][a-z0-9+.-]*$/.test(name) || !/^[A-Za-z0-9.+~:-]+$/.test(version)) throw bad(what);
    if (!/^[a-z0-9][a-z0-9-]*$/.test(architecture) || !/^[0-9a-f]{64}$/.test(sha256)) throw bad(what);
    if (!Number.isSafeInteger(size) || size <= 0) throw bad(what);
    const key = `${name}\0${architecture}`;
    if (byteOrder(before, key) >= 0) throw bad(`${name}:${architecture} stands twice or out of order`);
    before = key;
  }
}

function bad(what: string): BitforbitError {
  return new BitforbitError("input", `the locked environment is not as it was written: ${what.slice(0, 300)}`, {
    hint: "do not edit the lock by hand: lock again",
  });
}
