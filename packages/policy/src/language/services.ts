import { splitCommand } from "../command-line.ts";
import { mapping, type Raw } from "../mapping.ts";
import {
  type Context,
  child,
  collectPlaceholders,
  describe,
  hex,
  integer,
  list,
  literal,
  oneOf,
  orPlaceholder,
  type Place,
  quote,
  type Reader,
  stringNode,
  templateText,
} from "../reader.ts";
import type { Placeholder, Service, ServiceFileSystem, Variable } from "../session.ts";
import { attestation, mrenclaves, platforms } from "./attestation.ts";
import { otpSecret, serviceSecurity } from "./security.ts";
import { absolutePath, component } from "./value-readers.ts";

/** Variables that act before attestation only (SL-60). */
const EARLY_VARIABLES = ["SCONE_HEAP", "SCONE_STACK", "SCONE_CAS_ADDR", "SCONE_LAS_ADDR", "SCONE_CONFIG_ID", "SCONE_SERVICE_ACCESS_TOKEN"];
/** Variables through which a host could bring its own code (SL-72). */
const CODE_VARIABLES = [
  "LD_PRELOAD",
  "LD_LIBRARY_PATH",
  "LD_AUDIT",
  "PYTHONPATH",
  "PYTHONSTARTUP",
  "NODE_OPTIONS",
  "JAVA_TOOL_OPTIONS",
  "BASH_ENV",
];

const HOST_MARKER = /^(?:@@|\\@\\@)/;

/** Number of a host argument `@@N` or `\@\@N` (SL-66); undefined for other text. */
export function hostArgument(argument: string): number | undefined {
  const digits = /^(?:@@|\\@\\@)([0-9]{1,9})$/.exec(argument)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

const argument = templateText("text");
const words = list(argument, {
  rule: "SL-57",
  expected: "a string or a list of strings",
  nonEmpty: { rule: "SL-57", expected: "a program" },
});

const command: Reader<readonly string[]> = {
  read(place, context) {
    const list = place.node.kind === "scalar" ? commandText(place, context) : words.read(place, context);
    if (list === undefined) return undefined;
    const [program] = list;
    if (program === undefined) return context.error(place, { rule: "SL-57", message: "an empty command", expected: "a program" });
    if (program === "") return context.error(place, { rule: "SL-57", message: "an empty first argument", expected: "a program" });
    return checkHostArguments(list, place, context) ? list : undefined;
  },
  schema: () => ({ anyOf: [{ type: "string", minLength: 1 }, words.schema()] }),
};

function commandText(place: Place, context: Context): readonly string[] | undefined {
  const node = stringNode(place, context, "SL-57", "a string or a list of strings");
  if (node === undefined || !collectPlaceholders(node.text, "text", place, context)) return undefined;
  const reading = splitCommand(node.text);
  if (reading.kind === "ok") return reading.words;
  return context.error(place, { rule: "SL-57", message: "quote is not closed", expected: `a closing \`${reading.quote}\`` });
}

function checkHostArguments(list: readonly string[], place: Place, context: Context): boolean {
  const used = new Set<number>();
  let valid = true;
  for (const [index, text] of list.entries()) {
    const at = place.node.kind === "list" ? child(place, index) : place;
    const number = hostArgument(text);
    if (number === undefined) {
      if (/@@[0-9]/.test(text)) {
        context.error(at, {
          severity: "warning",
          rule: "SL-66",
          message: "`@@N` inside other text stays as it is",
          expected: "`@@N` as an argument of its own",
        });
      }
      continue;
    }
    if (number === 0 || used.has(number)) {
      const message = number === 0 ? "host argument 0" : `host argument ${number} is used twice`;
      context.error(at, { rule: "SL-67", message, expected: number === 0 ? "`@@1` or greater" : "each once" });
      valid = false;
    }
    used.add(number);
  }
  return valid;
}

const variableText = templateText("text");

const environment: Reader<readonly Variable[]> = {
  read(place, context) {
    const { node } = place;
    if (node.kind !== "map") return context.error(place, { rule: "SL-59", message: describe(node), expected: "a mapping, e.g. `A: b`" });
    const variables: Variable[] = [];
    const names = new Map<string, string>();
    for (const [key, { value }] of node.entries) {
      const variable = readVariable(key, { node: value, parent: place, key }, place, context);
      if (variable === undefined) continue;
      const other = names.get(variable.name);
      if (other !== undefined) {
        context.errorAtKey(place, key, { rule: "SL-69", message: `\`${other}\` and \`${key}\``, expected: "one of them" });
        continue;
      }
      names.set(variable.name, key);
      variables.push(variable);
    }
    return variables.length === node.entries.size ? variables : undefined;
  },
  schema: () => ({ type: "object", additionalProperties: { type: ["string", "number", "boolean"] } }),
};

function readVariable(key: string, place: Place, parent: Place, context: Context): Variable | undefined {
  const fromHost = HOST_MARKER.test(key);
  const name = fromHost ? key.replace(HOST_MARKER, "") : key;
  if (name === "" || name.includes("=") || name.includes("$$SCONE::")) {
    const what =
      name === ""
        ? "an empty variable name"
        : name.includes("=")
          ? `\`=\` in variable name ${quote(name)}`
          : "a placeholder in a variable name";
    return context.errorAtKey(parent, key, {
      rule: name.includes("$$SCONE::") ? "SL-118" : "SL-59",
      message: what,
      expected: "a name without `=`",
    });
  }
  const value = variableText.read(place, context);
  if (value === undefined) return undefined;
  const warn = (rule: string, message: string, expected: string) =>
    context.errorAtKey(parent, key, { severity: "warning", rule, message, expected });
  if (fromHost) {
    if (value !== "") warn("SL-69", "the value of a host variable is ignored", 'an empty value `""`');
    if (CODE_VARIABLES.includes(name)) warn("SL-72", `with \`${name}\` the host can replace code`, "a value written in the session");
  } else if (EARLY_VARIABLES.includes(name)) {
    warn("SL-60", `${name} has no effect after attestation`, "it to be set where the program is started");
  }
  return { name, value: fromHost ? "" : value, fromHost };
}

/**
 * Transparent TLS as declared connections (§23) needs a network shield around the program, which the runtime of this version does not have. Accepting the
 * key would promise encryption that nobody does.
 */
const network: Reader<never> = {
  read: (place, context) =>
    context.errorAtKey(place.parent ?? place, "network", {
      rule: "SL-197",
      message: "`network` needs a network shield, which the runtime does not have: nothing would be encrypted",
      expected: "TLS in the program, with certificates of the session",
    }),
  schema: () => ({ not: {} }),
};

const serviceFields = {
  name: {
    reader: component("service name"),
    doc: "Addressed as SESSION/SERVICE.",
    required: { rule: "SL-30", message: "`name` is missing", expected: "a service name" },
  },
  command: {
    reader: command,
    doc: "Program and arguments.",
    required: { rule: "SL-55", message: "`command` is missing", expected: "a string or a list of strings" },
  },
  pwd: {
    reader: absolutePath,
    doc: "Working directory.",
    required: { rule: "SL-55", message: "`pwd` is missing", expected: "an absolute path" },
  },
  environment: { reader: environment, doc: "The complete environment of the program." },
  image_name: { reader: literal("SL-61", "the name of an image", (text) => text), doc: "Name of an entry of `images`." },
  attestation: { reader: attestation, doc: "Which code is admitted.", since: 7 },
  mrenclaves: { reader: mrenclaves, doc: "Deprecated form of `attestation`." },
  platforms: { reader: platforms, doc: "Machines the service may run on." },
  fspf_path: { reader: absolutePath, doc: "Location of the main file-system protection file." },
  fspf_key: { reader: orPlaceholder(hex(32), "key"), doc: "Key of that file.", sensitive: true },
  fspf_tag: { reader: hex(16), doc: "Initial state of the file system." },
  fspf_update_policy: {
    reader: oneOf("SL-64", ["rollback_protected_reinitializable", "no_rollback_protection"]),
    doc: "Which states of the file system are accepted at start.",
    since: 11,
  },
  one_time_password_shared_secret: { reader: otpSecret, doc: "Second factor of this service.", since: 10, sensitive: true },
  persistency: {
    reader: literal(
      "SL-12",
      "`None`",
      (text, place, context) =>
        text === "None" ? text : context.error(place, { rule: "SL-12", message: quote(text), expected: "`None`" }),
      { const: "None" },
    ),
    doc: "Accepted and ignored.",
  },
  network: { reader: network, doc: "Extension of the language that is refused: this runtime has no network shield.", refused: true },
  security: { reader: orPlaceholder(serviceSecurity), doc: "Extension: stricter rules for this service." },
  max_activations: {
    reader: integer("SL-12", 1, 1_000_000_000),
    doc: "Extension: how often the service may be started.",
  },
  max_running: { reader: integer("SL-12", 1, 1_000_000), doc: "Extension: how many instances may run at once." },
} as const;

export const service: Reader<Service> = mapping(
  serviceFields,
  { rule: "SL-29", expected: "a mapping with `name`, `command`, …" },
  (raw, place, context) => {
    const { name, command: words, pwd } = raw;
    if (name === undefined || words === undefined || pwd === undefined) return undefined;
    if (raw.mrenclaves !== undefined && raw.attestation !== undefined) {
      return context.errorAtKey(place, "mrenclaves", {
        rule: "SL-79",
        message: "`mrenclaves` with `attestation`",
        expected: "only `attestation`",
      });
    }
    const fileSystem = readFileSystem(raw, place, context);
    if (fileSystem === undefined) return undefined;
    return {
      name,
      command: words,
      environment: raw.environment ?? [],
      pwd,
      imageName: raw.image_name,
      attestation: raw.mrenclaves === undefined ? (raw.attestation ?? []) : [{ mrenclave: raw.mrenclaves, signer: undefined }],
      platforms: raw.platforms ?? [],
      fileSystem: fileSystem.value,
      oneTimePasswordSecret: raw.one_time_password_shared_secret,
      security: raw.security,
      maxActivations: raw.max_activations,
      maxRunning: raw.max_running,
    };
  },
);

/** SL-63, SL-64. */
function readFileSystem(
  raw: Raw<typeof serviceFields>,
  place: Place,
  context: Context,
): { readonly value: ServiceFileSystem | undefined } | undefined {
  const { fspf_path: path, fspf_key: key, fspf_tag: tag, fspf_update_policy: policy } = raw;
  const together = "`fspf_path`, `fspf_key` and `fspf_tag` together";
  const fail = (at: string, message: string, expected = together) => context.errorAtKey(place, at, { rule: "SL-63", message, expected });
  if (path === undefined) {
    const first = (["fspf_key", "fspf_tag", "fspf_update_policy"] as const).find((name) => raw[name] !== undefined);
    return first === undefined ? { value: undefined } : fail(first, "`fspf_path` is missing");
  }
  if (key === undefined) return fail("fspf_path", "`fspf_key` is missing");
  const updatePolicy = policy ?? "rollback_protected_reinitializable";
  if (tag === undefined && updatePolicy !== "no_rollback_protection") return fail("fspf_path", "`fspf_tag` is missing");
  if (updatePolicy === "no_rollback_protection") {
    const message = "`no_rollback_protection` accepts any older state of the file system";
    context.error(child(place, "fspf_update_policy"), {
      severity: "warning",
      rule: "SL-64",
      message,
      expected: "`rollback_protected_reinitializable`",
    });
  }
  return { value: { path, key: key satisfies string | Placeholder, tag, updatePolicy } };
}
