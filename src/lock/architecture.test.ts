import { strict as assert } from "node:assert";
import test from "node:test";
import { digestOf } from "../digest.ts";
import { requireArchitecture } from "./architecture.ts";
import type { DebianEnvironment, OciEnvironment } from "./environment.ts";

const debian = (architecture: string): DebianEnvironment => ({
  type: "debian",
  pinned: true,
  suite: "bookworm",
  components: ["main"],
  architecture,
  packages: [],
  root: digestOf(""),
});

const oci = (platform: string): OciEnvironment => ({
  type: "oci",
  pinned: true,
  image: "x",
  platform,
  manifest: digestOf(""),
  layers: [],
  root: digestOf(""),
});

test("an environment of another architecture is refused with both names", () => {
  for (const [environment, machine, message] of [
    [debian("arm64"), "x64", "bitforbit.lock is for arm64, and this machine is amd64"],
    [debian("amd64"), "arm64", "bitforbit.lock is for amd64, and this machine is arm64"],
    [oci("linux/amd64"), "arm64", "bitforbit.lock is for linux/amd64, and this machine is linux/arm64"],
    [oci("linux/arm64/v8"), "x64", "bitforbit.lock is for linux/arm64/v8, and this machine is linux/amd64"],
    [oci("windows/amd64"), "x64", "bitforbit.lock is for windows/amd64, and this machine is linux/amd64"],
    [debian("amd64"), "mips", "bitforbit.lock is for amd64, and this machine is mips"],
  ] as const) {
    assert.throws(() => requireArchitecture(environment, machine), { code: "input", message });
  }
});

test("what the machine runs passes", () => {
  requireArchitecture(debian("amd64"), "x64");
  requireArchitecture(debian("i386"), "x64");
  requireArchitecture(oci("linux/arm64/v8"), "arm64");
  requireArchitecture({ type: "host", pinned: false }, "mips");
});
