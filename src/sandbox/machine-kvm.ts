/** KVM, for a sandbox: a node that the build's user may open, and whether a machine starts by it at all. */
import { accessSync, chmodSync, constants, existsSync, statSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { run } from "../child.ts";
import type { HostAbilities } from "./host.ts";
import { scratchFolder } from "./scratch.ts";

const DEVICE = "/dev/kvm";

/** Path of a node that a sandbox can be shown; undefined where we may not open the device ourselves. */
export async function kvmNode(host: HostAbilities): Promise<string | undefined> {
  try {
    accessSync(DEVICE, constants.R_OK | constants.W_OK);
    if (host.isolation === "user") return DEVICE;
    // The build's uid is nobody here: it gets a node of its own, in a folder that is gone when we end.
    const node = join(await scratchFolder(host), "kvm");
    if (existsSync(node)) return node;
    const { rdev } = statSync(DEVICE);
    const [major, minor] = [(rdev >> 8) & 0xfff, (rdev & 0xff) | ((rdev >> 12) & 0xfff00)];
    if ((await run("mknod", [node, "c", String(major), String(minor)])).exitCode !== 0) return undefined;
    chmodSync(node, 0o666);
    return node;
  } catch {
    return undefined;
  }
}

/**
 * Whether a machine starts with KVM: inside another virtual machine the device may open and never get on. `start` tries
 * it; the answer holds until this machine is started again.
 */
export async function kvmWorks(cache: string, start: () => Promise<boolean>): Promise<boolean> {
  const file = join(cache, "machine-kvm");
  const boot = (await readFile("/proc/sys/kernel/random/boot_id", "latin1").catch(() => "")).trim();
  const [known, answer] = (await readFile(file, "latin1").catch(() => "")).split(" ");
  if (boot !== "" && known === boot) return answer === "works";
  const works = await start();
  await writeFile(file, `${boot} ${works ? "works" : "fails"}`).catch(() => undefined);
  return works;
}
