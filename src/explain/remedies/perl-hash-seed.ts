import type { Remedy } from "./remedy.ts";
import { runs } from "./runs.ts";
import { setVariable } from "./variable.ts";

export const perlHashSeed: Remedy = {
  name: "perl-hash-seed",
  causes: ["hash-order"],
  intrusion: "environment",
  says: "Perl hashes alike in every run: PERL_HASH_SEED=0",
  propose: (project) => (runs(project, "perl") ? setVariable(project, "PERL_HASH_SEED", "0") : []),
};
