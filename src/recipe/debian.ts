import { type Detected, recipeName, recipeWith, script } from "./detected.ts";
import { readProjectFile } from "../project-file.ts";

/**
 * A Debian source package: the tree moves one folder down, because
 * dpkg-buildpackage puts its packages beside the source, and outputs must be
 * inside. The time is that of debian/changelog, as in the archive's own builds.
 */
export async function detectDebian(folder: string, fallbackName: string): Promise<Detected | undefined> {
  const control = await readProjectFile(folder, "debian/control");
  if (control === undefined) return undefined;
  const name = /^Source:\s*(\S+)/m.exec(control)?.[1];
  const asUser = /^Rules-Requires-Root:\s*no\b/m.test(control);
  const recipe = recipeWith({
    name: recipeName(name, fallbackName),
    ecosystem: "debian",
    tools: ["dpkg-buildpackage", "make", "cc", ...(asUser ? [] : ["fakeroot"])],
    // In a sandbox with one user id, root's own cannot be given to a file, and the kernel's answer to that
    // (EINVAL, not EPERM) is one that fakeroot hands on: it is told not to ask.
    env: { DEB_BUILD_OPTIONS: "nocheck noautodbgsym", ...(asUser ? {} : { FAKEROOTDONTTRYCHOWN: "1" }) },
    command: script(
      "mkdir -p out/source",
      "find . -mindepth 1 -maxdepth 1 ! -name out -exec mv {} out/source/ \\;",
      "cd out/source",
      "SOURCE_DATE_EPOCH=$(dpkg-parsechangelog -S Timestamp)",
      "export SOURCE_DATE_EPOCH",
      "dpkg-buildpackage --build=binary --unsigned-source --unsigned-changes",
    ),
    outputs: ["out/*.deb"],
  });
  return { recipe, assumed: ["tests are skipped and no debug packages are made (DEB_BUILD_OPTIONS)"] };
}
