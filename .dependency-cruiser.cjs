// The rooms of the house and who may import whom. A room imports only what its line names; docs/architecture.md explains why.
const rooms = {
  policy: [],
  secrets: ["policy"],
  attestation: [],
  collateral: ["attestation"],
  linux: [],
  attester: ["attestation", "linux"],
  fileshield: ["linux"],
  protocol: ["policy", "attestation"],
  cas: ["policy", "secrets", "attestation", "collateral", "linux", "attester", "protocol"],
  runtime: ["protocol", "linux", "attester", "fileshield", "attestation"],
  image: ["fileshield"],
  mesh: ["policy", "attestation", "image"],
  kubernetes: ["mesh", "protocol", "attestation", "linux"],
  local: ["mesh", "protocol", "attestation", "linux", "attester", "image", "cas"],
  cli: ["policy", "secrets", "attestation", "collateral", "linux", "attester", "fileshield", "protocol", "cas", "runtime", "image", "mesh", "kubernetes", "local", "console"],
  console: ["protocol"],
};
const pure = ["policy", "secrets", "attestation"];
const sources = (room) => `^packages/${room}/src/`;
const notTests = "\\.test\\.ts$|/testing/|/test/";

module.exports = {
  forbidden: [
    ...Object.entries(rooms).map(([room, allowed]) => ({
      name: `${room}-imports-down-the-list`,
      comment: `packages/${room} may import ${allowed.length === 0 ? "no other room" : allowed.join(", ")}`,
      severity: "error",
      from: { path: sources(room), pathNot: notTests },
      to: { path: "^packages/", pathNot: `^packages/(${[room, ...allowed].join("|")})/` },
    })),
    ...pure.map((room) => ({
      name: `${room}-is-pure`,
      comment: "pure rooms have no files, network, processes or timers of their own: time, randomness and collateral are arguments",
      severity: "error",
      from: { path: sources(room), pathNot: notTests },
      to: { dependencyTypes: ["core"], pathNot: "^(node:)?(crypto|buffer|util|assert|zlib|url)$" },
    })),
    {
      name: "one-entry-per-room",
      comment: "other rooms see index.ts only",
      severity: "error",
      from: { path: "^packages/([^/]+)/", pathNot: notTests },
      to: { path: "^packages/([^/]+)/src/", pathNot: "^packages/($1)/|^packages/[^/]+/src/index\\.ts$" },
    },
    {
      name: "no-cycles",
      comment: "a command may load its implementation on demand, and that one may read the command's description",
      severity: "error",
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ["dynamic-import"] } },
    },
    // Peers are programs of their own, with packages of their own; nothing imports them.
    { name: "resolvable", severity: "error", from: { pathNot: "/differential/peers/" }, to: { couldNotResolve: true } },
    {
      name: "production-imports-no-tests",
      severity: "error",
      from: { path: "^packages/[^/]+/src/", pathNot: notTests },
      to: { path: notTests },
    },
  ],
  options: {
    parser: "swc",
    doNotFollow: { path: "node_modules" },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["import", "node", "default"] },
    combinedDependencies: true,
    progress: { type: "none" },
  },
};
