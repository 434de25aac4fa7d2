import { arDeterministic } from "./ar-deterministic.ts";
import { cOrder } from "./c-order.ts";
import { byteSort } from "./byte-sort.ts";
import { checkedBytecode } from "./checked-bytecode.ts";
import { constantCpuCount } from "./constant-cpu-count.ts";
import { constantHostname } from "./constant-hostname.ts";
import { constantKernel } from "./constant-kernel.ts";
import { constantPid } from "./constant-pid.ts";
import { constantUser } from "./constant-user.ts";
import { dateCommand } from "./date-command.ts";
import { dateMacros } from "./date-macros.ts";
import { dockerImage } from "./docker-image.ts";
import { fixedRandom } from "./fixed-random.ts";
import { goBuildFlags } from "./go-build-flags.ts";
import { goOrder } from "./go-order.ts";
import { goFlags } from "./go-flags.ts";
import { gradleArchives } from "./gradle-archives.ts";
import { gzipName } from "./gzip-name.ts";
import { installMode } from "./install-mode.ts";
import { javaHashOrder } from "./java-hash-order.ts";
import { jarDate } from "./jar-date.ts";
import { javaOrder } from "./java-order.ts";
import { javaTime } from "./java-time.ts";
import { keptEpoch } from "./kept-epoch.ts";
import { localeVariable } from "./locale-variable.ts";
import { mavenTimestamp } from "./maven-timestamp.ts";
import { noBuildId } from "./no-build-id.ts";
import { notParallel } from "./not-parallel.ts";
import { perlHashSeed } from "./perl-hash-seed.ts";
import { perlOrder } from "./perl-order.ts";
import { perlTime } from "./perl-time.ts";
import { prefixMapGyp } from "./prefix-map-gyp.ts";
import { prefixMapFlags } from "./prefix-map-flags.ts";
import { prefixMapVariables } from "./prefix-map-variables.ts";
import { pythonHashSeed } from "./python-hash-seed.ts";
import { pythonNoBytecode } from "./python-no-bytecode.ts";
import { pythonOrder } from "./python-order.ts";
import { pythonTime } from "./python-time.ts";
import { randomSeedFlags } from "./random-seed-flags.ts";
import { rustOrder } from "./rust-order.ts";
import { relativePath } from "./relative-path.ts";
import { rustRemap } from "./rust-remap.ts";
import { rustTime } from "./rust-time.ts";
import { scriptOrder } from "./script-order.ts";
import { scriptTime } from "./script-time.ts";
import { serialMake } from "./serial-make.ts";
import { serialSteps } from "./serial-steps.ts";
import { sortedKeys } from "./sorted-keys.ts";
import { sortedSet } from "./sorted-set.ts";
import { sortedShell } from "./sorted-shell.ts";
import { sortedWildcard } from "./sorted-wildcard.ts";
import { tarMode } from "./tar-mode.ts";
import { tarOrder } from "./tar-order.ts";
import { tarOwner } from "./tar-owner.ts";
import { tarTimes } from "./tar-times.ts";
import { timezoneVariable } from "./timezone-variable.ts";
import { umaskLine } from "./umask-line.ts";
import { zeroDevice } from "./zero-device.ts";
import { zipOrder } from "./zip-order.ts";
import { zipTimes } from "./zip-times.ts";
import type { Remedy } from "./remedy.ts";

/** Every way to mend a cause. */
export const remedies: readonly Remedy[] = [
  arDeterministic,
  byteSort,
  cOrder,
  checkedBytecode,
  constantCpuCount,
  constantHostname,
  constantKernel,
  constantPid,
  constantUser,
  dateCommand,
  dateMacros,
  dockerImage,
  fixedRandom,
  goBuildFlags,
  goFlags,
  goOrder,
  gradleArchives,
  gzipName,
  installMode,
  jarDate,
  javaHashOrder,
  javaOrder,
  javaTime,
  keptEpoch,
  localeVariable,
  mavenTimestamp,
  noBuildId,
  notParallel,
  perlHashSeed,
  perlOrder,
  perlTime,
  prefixMapFlags,
  prefixMapGyp,
  prefixMapVariables,
  pythonHashSeed,
  pythonNoBytecode,
  pythonOrder,
  pythonTime,
  randomSeedFlags,
  relativePath,
  rustOrder,
  rustRemap,
  rustTime,
  scriptOrder,
  scriptTime,
  serialMake,
  serialSteps,
  sortedKeys,
  sortedSet,
  sortedShell,
  sortedWildcard,
  tarMode,
  tarOrder,
  tarOwner,
  tarTimes,
  timezoneVariable,
  umaskLine,
  zeroDevice,
  zipOrder,
  zipTimes,
];
