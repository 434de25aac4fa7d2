import { strict as assert } from "node:assert";
import test from "node:test";
import { BitforbitError } from "../errors.ts";
import { aptFailure } from "./apt-failure.ts";
import { deb822Sources, oneLineSources, sourcesFor, writeSources } from "./apt-sources.ts";
import { nearest, parseUris } from "./apt.ts";

const KEY = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n.\nabc\n-----END PGP PUBLIC KEY BLOCK-----";

const lacking = (error: unknown): boolean => error instanceof BitforbitError && error.code === "lacking";

const said = (stderr: string, what: "update" | "install" = "update", exitCode = 100): BitforbitError | undefined =>
  aptFailure({ exitCode, stdout: new Uint8Array(0), stderr }, what);

test("both styles of sources are read, and turned towards the wanted suite", () => {
  const old = oneLineSources(
    "# deb no\ndeb [trusted=yes signed-by=/etc/hostname arch=amd64] http://mirror.example/debian bookworm main contrib # c\n" +
      "deb-src http://mirror.example/debian bookworm main\ndeb http://other.example/x stable main\n",
  );
  assert.equal(old.length, 2);
  const modern = deb822Sources(
    `Types: deb deb-src\nURIs: http://mirror.example/debian-security\nSuites: bookworm-security\nComponents: main\nSigned-By:\n ${KEY.replaceAll("\n", "\n ")}\nCheck-Valid-Until: no\nTrusted: yes\n\n` +
      "Types: deb\nEnabled: no\nURIs: http://mirror.example/debian\nSuites: bookworm-updates\nComponents: main\n",
    "debian.sources",
  );
  const found = sourcesFor([...old, ...modern], "trixie", ["main", "non-free"]);
  assert.deepEqual(
    found.map(({ uris, suites, components, anyAge }) => ({ uris, suites, components, anyAge })),
    [
      { uris: ["http://mirror.example/debian"], suites: ["trixie"], components: ["main", "non-free"], anyAge: false },
      {
        uris: ["http://mirror.example/debian-security"],
        suites: ["trixie-security"],
        components: ["main", "non-free"],
        anyAge: true,
      },
    ],
  );
  const written = writeSources(found);
  assert.doesNotMatch(written, /trusted/i);
  assert.deepEqual(deb822Sources(written, "ours"), found);
  assert.equal(sourcesFor([...old, ...modern], "sid", ["main"]).length, 1, "sid has no security archive");
});

test("a machine without a Debian archive, or without its keys, says so", () => {
  assert.throws(() => sourcesFor(oneLineSources("deb http://x.example/ubuntu noble main\n"), "sid", ["main"]), lacking);
  const keyless = oneLineSources(
    "deb [signed-by=/nonexistent/debian-archive-x.gpg] http://x.example/debian sid main\n",
  );
  assert.throws(() => sourcesFor(keyless, "sid", ["main"]), lacking);
});

test("apt's list of files is read; one without SHA-256 is not believed", () => {
  const digest = "a".repeat(64);
  const line = `'http://m.example/pool/g/g++_4%3a12.2.0-3_amd64.deb' g++_4%3a12.2.0-3_amd64.deb 1356 SHA256:${digest}`;
  const [one] = parseUris(`Reading package lists...\n${line}\n`);
  assert.equal(one?.name, "g++");
  assert.equal(one?.version, "4:12.2.0-3");
  assert.equal(one?.size, 1356);
  assert.throws(() => parseUris(line.replace("SHA256", "MD5Sum")), /does not say a package's SHA-256/);
});

test("near names are near", () => {
  assert.deepEqual(nearest("libssl-dv", ["libssl-dev", "libssl3", "zsh", "libssh-dev"]), ["libssl-dev", "libssh-dev"]);
  assert.deepEqual(nearest("zzzzzz", ["libssl-dev"]), []);
});

test("what apt says becomes one error that names it", () => {
  const cases: [string, string, RegExp][] = [
    [
      "E: Release file for http://x/InRelease is expired (invalid since 3d 2h). Updates will not be applied.",
      "refused",
      /out of date/,
    ],
    [
      "W: GPG error: http://x InRelease: The following signatures were invalid: EXPKEYSIG 0E98 Debian",
      "refused",
      /expired/,
    ],
    ["W: GPG error: http://x InRelease: NO_PUBKEY 0E98404D386FA1D9", "refused", /not signed by the Debian/],
    [
      "E: The repository 'http://u:secret@x sid InRelease' is not signed.",
      "refused",
      /not signed: The repository 'http:\/\/x sid/,
    ],
    ["W: Failed to fetch http://x/InRelease  Could not connect to x:80", "outside", /cannot fetch http:\/\/x/],
    [
      "E: Failed to fetch http://x/Packages.xz  File has unexpected size (1 != 2). Mirror sync in progress?",
      "outside",
      /other bytes/,
    ],
    ["E: Something new", "outside", /apt could not update: E: Something new/],
  ];
  for (const [line, code, pattern] of cases) {
    const error = said(line);
    assert.equal(error?.code, code, line);
    assert.match(error?.message ?? "", pattern);
  }
  assert.equal(said("W: Some index files failed to download. They have been ignored", "update", 0)?.code, "outside");
  assert.equal(said("W: Download is performed unsandboxed as root", "update", 0), undefined);
});
