/** The numbers of rpm's tags: runs of names, in rpm's own order, from a first number on. */
const RUNS: readonly (readonly [first: number, names: string])[] = [
  [61, "headerimage headersignatures headerimmutable headerregions"],
  [100, "headeri18ntable"],
  [257, "sigsize siglemd5_1 sigpgp siglemd5_2 sigmd5 siggpg sigpgp5 badsha1_1 badsha1_2 pubkeys dsaheader rsaheader"],
  [269, "sha1header longsigsize longarchivesize"],
  [273, "sha256header"],
  [276, "veritysignatures veritysignaturealgo"],
  [
    1000,
    "name version release epoch summary description buildtime buildhost installtime size distribution vendor gif xpm",
  ],
  [1014, "license packager group changelog source patch url os arch prein postin preun postun oldfilenames filesizes"],
  [1029, "filestates filemodes fileuids filegids filerdevs filemtimes filedigests filelinktos fileflags root"],
  [1039, "fileusername filegroupname exclude exclusive icon sourcerpm fileverifyflags archivesize providename"],
  [1048, "requireflags requirename requireversion nosource nopatch conflictflags conflictname conflictversion"],
  [
    1056,
    "defaultprefix buildroot installprefix excludearch excludeos exclusivearch exclusiveos autoreqprov rpmversion",
  ],
  [1065, "triggerscripts triggername triggerversion triggerflags triggerindex"],
  [1079, "verifyscript changelogtime changelogname changelogtext brokenmd5 prereq preinprog postinprog preunprog"],
  [1088, "postunprog buildarchs obsoletename verifyscriptprog triggerscriptprog docdir cookie filedevices fileinodes"],
  [1097, "filelangs prefixes instprefixes triggerin triggerun triggerpostun autoreq autoprov capability sourcepackage"],
  [
    1107,
    "oldorigfilenames buildprereq buildrequires buildconflicts buildmacros provideflags provideversion obsoleteflags",
  ],
  [1115, "obsoleteversion dirindexes basenames dirnames origdirindexes origbasenames origdirnames optflags disturl"],
  [1124, "payloadformat payloadcompressor payloadflags installcolor installtid removetid sha1rhn rhnplatform platform"],
  [
    1133,
    "patchesname patchesflags patchesversion cachectime cachepkgpath cachepkgsize cachepkgmtime filecolors fileclass",
  ],
  [
    1142,
    "classdict filedependsx filedependsn dependsdict sourcepkgid filecontexts fscontexts recontexts policies pretrans",
  ],
  [
    1152,
    "posttrans pretransprog posttransprog disttag oldsuggestsname oldsuggestsversion oldsuggestsflags oldenhancesname",
  ],
  [1160, "oldenhancesversion oldenhancesflags priority cvsid blinkpkgid blinkhdrid blinknevra flinkpkgid flinkhdrid"],
  [1169, "flinknevra packageorigin triggerprein buildsuggests buildenhances scriptstates scriptmetrics buildcpuclock"],
  [
    1177,
    "filedigestalgos variants xmajor xminor repotag keywords buildplatforms packagecolor packageprefcolor xattrsdict",
  ],
  [
    1187,
    "filexattrsx depattrsdict conflictattrsx obsoleteattrsx provideattrsx requireattrsx buildprovides buildobsoletes",
  ],
  [1195, "dbinstance nvra"],
  [
    5000,
    "filenames fileprovide filerequire fsnames fssizes triggerconds triggertype origfilenames longfilesizes longsize",
  ],
  [
    5010,
    "filecaps filedigestalgo bugurl evr nvr nevr nevra headercolor verbose epochnum preinflags postinflags preunflags",
  ],
  [5023, "postunflags pretransflags posttransflags verifyscriptflags triggerscriptflags"],
  [5029, "collections policynames policytypes policytypesindexes policyflags vcs ordername orderversion orderflags"],
  [5038, "mssfmanifest mssfdomain instfilenames requirenevrs providenevrs obsoletenevrs conflictnevrs filenlinks"],
  [5046, "recommendname recommendversion recommendflags suggestname suggestversion suggestflags supplementname"],
  [5053, "supplementversion supplementflags enhancename enhanceversion enhanceflags recommendnevrs suggestnevrs"],
  [5060, "supplementnevrs enhancenevrs encoding filetriggerin filetriggerun filetriggerpostun filetriggerscripts"],
  [
    5067,
    "filetriggerscriptprog filetriggerscriptflags filetriggername filetriggerindex filetriggerversion filetriggerflags",
  ],
  [
    5073,
    "transfiletriggerin transfiletriggerun transfiletriggerpostun transfiletriggerscripts transfiletriggerscriptprog",
  ],
  [5078, "transfiletriggerscriptflags transfiletriggername transfiletriggerindex transfiletriggerversion"],
  [5082, "transfiletriggerflags removepathpostfixes filetriggerpriorities transfiletriggerpriorities filetriggerconds"],
  [5087, "filetriggertype transfiletriggerconds transfiletriggertype filesignatures filesignaturelength payloaddigest"],
  [5093, "payloaddigestalgo autoinstalled identity modularitylabel payloaddigestalt archsuffix spec translationurl"],
  [5101, "upstreamreleases sourcelicense"],
];

/** Of the signature header, where the same numbers mean something else. */
const SIGNATURE_RUNS: readonly (readonly [first: number, names: string])[] = [
  [264, "badsha1_1 badsha1_2"],
  [267, "dsa rsa sha1 longsize longarchivesize"],
  [273, "sha256 filesignatures filesignaturelength veritysignatures veritysignaturealgo openpgp"],
  [1000, "size lemd5_1 pgp lemd5_2 md5 gpg pgp5 payloadsize reservedspace"],
];

const table = (runs: typeof RUNS): ReadonlyMap<number, string> =>
  new Map(runs.flatMap(([first, names]) => names.split(" ").map((name, at) => [first + at, name] as const)));

const TAGS = table(RUNS);
const SIGNATURE_TAGS = new Map([...TAGS, ...table(SIGNATURE_RUNS)]);

/** As `rpm --queryformat` calls it, in lower case; "tag 12345" where it has no name. */
export function rpmTag(number: number, signature: boolean): string {
  return (signature ? SIGNATURE_TAGS : TAGS).get(number) ?? `tag ${number}`;
}
