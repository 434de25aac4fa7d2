/** A build that does not reproduce by itself, held still from outside; and that everybody is told so. */
import { strict as assert } from "node:assert";
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { Ajv2020 } from "ajv/dist/2020.js";
import { bitforbit, git, PINNED, project } from "./command.ts";

/** 2024-03-02, as test/command.ts dates its commits. */
const MAIN = `#include <stdio.h>
#include <time.h>
int main(int argc, char **argv) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  printf("%s %s %s %s %ld.%09ld %p\\n", __DATE__, __TIME__, __TIMESTAMP__, __FILE__, now.tv_sec, now.tv_nsec, (void *)&now);
}
`;

/** Of the catalogue of causes: clock, file times, path, user, host, zone, locale, umask, order, CPUs, addresses. */
const MAKEFILE = `all: out/told out/all.tar out/main
out/main: main.c
\tmkdir -p out
\tgcc -g -o $@ $(CURDIR)/main.c
out/told: out/main
\t{ ./out/main; date; date +%s%N; pwd; id; hostname; umask; nproc; ls -fa; ls -l --full-time main.c out/main; } > $@
\tLC_ALL= date -r out/main >> $@
\tmake -q out/main && echo up to date >> $@
out/all.tar: out/main
\tmkdir parts; for n in 3 1 2; do echo $$n > parts/$$n; done
\ttar -cf $@ parts
`;

const recipe = (determinise: boolean): string =>
  `name = "moving"\ncommand = "make"\noutputs = ["out/*"]\ndeterminise = ${determinise}\n${PINNED}tools = ["make", "gcc"]\n`;

interface Document {
  verdict: string;
  causes: { name: string; artifact: string }[];
  crutches: string[];
  covered: string[];
  attestations?: { predicateType: string; file: string }[];
  artifacts?: { file: string }[];
}

interface Statement {
  predicate: { crutches?: string[]; buildDefinition?: { internalParameters: { crutches: string[] } } };
}

function statementIn(file: string): Statement {
  const bundle = JSON.parse(readFileSync(file, "utf8")) as { dsseEnvelope: { payload: string } };
  return JSON.parse(Buffer.from(bundle.dsseEnvelope.payload, "base64").toString()) as Statement;
}

test("determinise = true makes a build reproduce that does not by itself", { timeout: 240_000 }, async (t) => {
  const folder = project(t, { "main.c": MAIN, Makefile: MAKEFILE, "bitforbit.toml": recipe(false) });
  const bare = await bitforbit(folder, ["check", "--json"]);
  assert.equal(bare.code, 1, bare.stderr);
  const differs = JSON.parse(bare.stdout) as Document;
  assert.equal(differs.verdict, "differs");
  assert.deepEqual(differs.crutches, []);

  writeFileSync(join(folder, "bitforbit.toml"), recipe(true));
  assert.equal((await bitforbit(folder, ["lock"])).code, 0);
  git(folder, "commit", "-qam", "held still");
  const built = await bitforbit(folder, ["build", "--json"]);
  assert.equal(built.code, 0, `${built.stderr}${built.stdout.slice(0, 4000)}`);
  const document = JSON.parse(built.stdout) as Document;
  assert.equal(document.verdict, "reproducible");
  assert.match(document.crutches[0] ?? "", /^the clock stands still at 2024-03-02T\S+Z \(SOURCE_DATE_EPOCH\)/);
  assert.match(document.crutches.join("\n"), /keys and passwords that the build makes can be predicted/);
  assert.match(document.crutches.join("\n"), /one CPU/);

  const told = readFileSync(document.artifacts?.find(({ file }) => file.endsWith("told"))?.file ?? "", "utf8");
  assert.match(told, /^Mar {2}2 2024 /);
  assert.match(told, /\nup to date\n$/);

  const [provenance, reproduction] = ["slsa.dev/provenance", "bitforbit.dev/reproduction"].map((type) =>
    statementIn(document.attestations?.find(({ predicateType }) => predicateType.includes(type))?.file ?? ""),
  );
  assert.deepEqual(provenance?.predicate.buildDefinition?.internalParameters.crutches, document.crutches);
  assert.deepEqual(reproduction?.predicate.crutches, document.crutches);
  const schema = JSON.parse(readFileSync("schemas/reproduction.schema.json", "utf8")) as object;
  assert.equal(new Ajv2020().compile(schema)(reproduction?.predicate), true);

  const shown = await bitforbit(folder, ["check"]);
  assert.equal(shown.code, 0, shown.stderr);
  assert.match(shown.stdout + shown.stderr, /reproducible, held still from outside \(determinise\)/);
  assert.match(shown.stdout + shown.stderr, /crutches +the clock stands still/);
});

/** What a clock of its own tells (here the kernel's, since it was started) is held by nothing, and packed in no order. */
const PACKING = `#!/bin/sh
read up _ < /proc/uptime
later=$((1900000000 + $(echo $up | tr -d .)))
mkdir pkg dist
for name in b a c; do echo $name > pkg/$name; done
tar --mtime=@$later -cf dist/pkg.tar pkg/b pkg/c pkg/a
tar --mtime=@$later -czf dist/pkg.tar.gz pkg/b pkg/c pkg/a
tar --mtime=@$later -cf dist/listed.tar pkg
sha256sum dist/listed.tar > dist/SHA256SUMS
tar --sort=name --mtime=@1000000000 --owner=0 --group=0 --numeric-owner -cf dist/plain.tar pkg/a pkg/b pkg/c
`;

function listed({ artifacts = [] }: Document): string {
  const tar = artifacts.find(({ file }) => file.endsWith("pkg.tar"))?.file ?? "";
  return spawnSync("tar", ["--utc", "--full-time", "--numeric-owner", "-tvf", tar], { encoding: "utf8" }).stdout;
}

const packing = (determinise: boolean): string =>
  `name = "packing"\ncommand = "sh pack.sh"\noutputs = ["dist/*"]\ndeterminise = ${determinise}\n[environment]\ntools = ["tar", "sha256sum"]\n`;

test(
  "outputs of a determinised build are normalised, by name; otherwise they are what was built",
  { timeout: 240_000 },
  async (t) => {
    const folder = project(t, { "pack.sh": PACKING, "bitforbit.toml": packing(true) });
    const built = await bitforbit(folder, ["build", "--json"]);
    const document = JSON.parse(built.stdout) as Document;
    const told = document.crutches.filter((line) => line.startsWith("dist/"));
    assert.deepEqual(told, [
      "dist/listed.tar is left as it was built: dist/SHA256SUMS holds its checksum",
      "dist/pkg.tar is normalised: 3 members' times, the owner, the order of members",
      "dist/pkg.tar.gz is normalised: 3 members' times, the owner, the order of members",
    ]);
    const differing = new Set(document.causes.map(({ artifact }) => artifact));
    assert.ok(!differing.has("dist/pkg.tar") && !differing.has("dist/pkg.tar.gz"), built.stdout.slice(0, 2000));
    for (const type of ["slsa.dev/provenance", "bitforbit.dev/reproduction"]) {
      const file = document.attestations?.find(({ predicateType }) => predicateType.includes(type))?.file ?? "";
      const { predicate } = statementIn(file);
      const crutches = predicate.crutches ?? predicate.buildDefinition?.internalParameters.crutches ?? [];
      for (const line of told) assert.ok(crutches.includes(line), type);
    }
    assert.match(
      listed(document),
      /^-rw\S+ 0\/0 +2 2024-03-02 10:20:30 pkg\/a\n\S+ 0\/0 .* pkg\/b\n\S+ 0\/0 .* pkg\/c\n$/,
    );

    writeFileSync(join(folder, "bitforbit.toml"), packing(false));
    assert.equal((await bitforbit(folder, ["lock"])).code, 0);
    const bare = JSON.parse((await bitforbit(folder, ["build", "--once", "--json"])).stdout) as Document;
    assert.deepEqual(bare.crutches, []);
    assert.match(listed(bare), /^-rw\S+ [1-9]\d*\/\d+ +2 20[3-9]\d-\S+ \S+ pkg\/b\n/);
  },
);
