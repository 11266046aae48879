import assert from "node:assert/strict";
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { test } from "node:test";
import { addSessionSignature, encodeSignedSession, keyHashOf, signSession } from "@vouchsafe/policy";
import { type CasClient, CasProblemError, RefusedError } from "@vouchsafe/protocol";
import fc from "fast-check";
import { testPolicy } from "../testing/policies.ts";
import { createTestClient, startTestCas, type TestCas } from "../testing/test-cas.ts";

/**
 * Random creates, updates, exports, imports, grants and reads by several people, against the real CAS and against a model that says in few words
 * who may do what. Certificates are people 0 to 2, signing keys are people 3 and 4.
 */
const PEOPLE = [0, 1, 2, 3, 4] as const;
const SIGNERS = [3, 4] as const;
type Person = (typeof PEOPLE)[number];
const isSigner = (person: Person): boolean => person >= 3;
const NAMES = ["a", "b", "a/x", "a/y", "b/x", "a/x/z"];

/** An access rule as the model sees it. */
type Rule =
  | { readonly is: "creator" }
  | { readonly is: "any" }
  | { readonly is: "none" }
  | { readonly is: "key" | "signer"; readonly who: Person }
  | { readonly is: "at-least"; readonly count: number; readonly of: readonly Rule[] };

interface Document {
  readonly read: readonly Rule[] | undefined;
  readonly update: readonly Rule[] | undefined;
  readonly create: readonly Rule[] | undefined;
  readonly list: readonly Rule[] | undefined;
  /** Sessions that get the secret `s`; a name with a final `/` is a namespace. */
  readonly exportTo: readonly string[];
  readonly importFrom: string | undefined;
}

interface Session extends Document {
  readonly hash: string;
  readonly creator: Person;
  readonly value: string;
}

/** One certificate, or one to two signatures. */
type Hands = readonly Person[];

const parentOf = (name: string): string | undefined => (name.includes("/") ? name.slice(0, name.lastIndexOf("/")) : undefined);

/** The model's whole law of access (SL-171, SL-177, SL-178, SL-181, SL-187, C-60). */
function admits(rule: Rule, hands: Hands, creator: Person): boolean {
  if (rule.is === "any") return true;
  if (rule.is === "none") return false;
  if (rule.is === "creator") return hands.includes(creator);
  if (rule.is === "at-least") return rule.of.filter((one) => admits(one, hands, creator)).length >= rule.count;
  return hands.includes(rule.who);
}

function may(operation: "read" | "update" | "create" | "list", session: Session, hands: Hands): boolean {
  const creator: readonly Rule[] = [{ is: "creator" }];
  const update = session.update ?? creator;
  const create = session.create ?? update;
  const read = session.read ?? (isSigner(session.creator) ? [] : creator);
  const rules = { read, update, create, list: session.list ?? read };
  const isAdmitted = (which: readonly Rule[]) => which.some((rule) => admits(rule, hands, session.creator));
  return isAdmitted(rules[operation]) || (operation === "list" && isAdmitted(create));
}

class Model {
  readonly sessions = new Map<string, Session>();

  /** What an update or creation must end in: `ok` or the code of the problem (C-29, C-30). */
  verdict(name: string, predecessor: string | undefined, hands: Hands): string {
    const present = this.sessions.get(name);
    if (predecessor === undefined) {
      if (present !== undefined) return "exists";
      const parent = parentOf(name);
      const above = parent === undefined ? undefined : this.sessions.get(parent);
      if (parent !== undefined && above === undefined) return "namespace_missing";
      return above === undefined || may("create", above, hands) ? "ok" : refusedBy(hands);
    }
    if (present === undefined) return "not_found";
    if (!may("update", present, hands)) {
      return present.update?.length === 1 && present.update[0]?.is === "none" ? "immutable" : refusedBy(hands);
    }
    return present.hash === predecessor ? "ok" : "predecessor_mismatch";
  }

  accept(name: string, document: Document, made: Pick<Session, "hash" | "value">, hands: Hands): void {
    this.sessions.set(name, { ...document, ...made, creator: hands[0] ?? assert.fail("nobody uploaded") });
  }

  /** Forbidden looks like unknown, except for those who may list the namespace (C-22, hazard C10). */
  hidden(name: string, person: Person): string {
    const parent = this.sessions.get(parentOf(name) ?? "");
    return this.sessions.has(name) && parent !== undefined && may("list", parent, [person]) ? "forbidden" : "not_found";
  }

  /** The value that the service of `importer` sees; undefined when it is refused. */
  imported(importer: string): string | undefined {
    const exporter = this.sessions.get(this.sessions.get(importer)?.importFrom ?? "");
    const isNamed = exporter?.exportTo.some((to) => (to.endsWith("/") ? `${importer}/`.startsWith(to) : to === importer));
    return isNamed ? exporter?.value : undefined;
  }
}

const refusedBy = (hands: Hands): string => (hands.some(isSigner) ? "quorum" : "forbidden");

class Real {
  readonly cas: TestCas;
  readonly #clients: readonly CasClient[];
  readonly #keyHashes: readonly string[];
  readonly #signers = new Map<Person, { readonly privateKey: KeyObject; readonly publicKey: KeyObject }>();
  #count = 0;

  constructor(cas: TestCas) {
    this.cas = cas;
    const people = PEOPLE.filter((person) => !isSigner(person)).map(() => createTestClient());
    this.#clients = people.map((person) => cas.client(person));
    for (const person of SIGNERS) this.#signers.set(person, generateKeyPairSync("ed25519"));
    this.#keyHashes = [
      ...people.map(({ keyHash }) => keyHash),
      ...[...this.#signers.values()].map(({ publicKey }) => keyHashOf(publicKey)),
    ];
  }

  client(person: Person): CasClient {
    return this.#clients[person] ?? assert.fail("a signer has no connection of its own");
  }

  /** A document that differs from every other: its value is new. */
  text(name: string, document: Document, predecessor: string | undefined): { readonly text: string; readonly value: string } {
    const value = `value-${++this.#count}`;
    const access = { read: document.read, update: document.update, create_sessions: document.create, list_sessions: document.list };
    const stated = Object.entries(access).filter(([, rules]) => rules !== undefined);
    const secrets = [
      { name: "s", kind: "ascii", value, ...exportsOf(document.exportTo) },
      ...(document.importFrom === undefined ? [] : [{ name: "i", import: { session: document.importFrom, secret: "s" } }]),
    ];
    const rest = [
      `secrets: ${JSON.stringify(secrets)}`,
      ...(predecessor === undefined ? [] : [`predecessor: ${predecessor}`]),
      ...(stated.length === 0
        ? []
        : [
            `access_policy: ${JSON.stringify(Object.fromEntries(stated.map(([key, rules]) => [key, rules?.map((rule) => this.#entry(rule))])))}`,
          ]),
    ];
    const service = document.importFrom === undefined ? "" : `    environment: {I: "$$SCONE::i$$"}`;
    return { text: testPolicy({ name, service, security: "{attestation: {mode: none}}", rest: rest.join("\n") }), value };
  }

  upload(text: string, hands: Hands): ReturnType<CasClient["uploadSession"]> {
    const [first, ...more] = hands;
    if (first === undefined) throw new TypeError("nobody uploads");
    if (!isSigner(first)) return this.client(first).uploadSession(text);
    let signed = signSession(text, this.#key(first).privateKey);
    for (const signer of more) signed = addSessionSignature(signed, this.#key(signer).privateKey);
    return this.cas.client().uploadSignedSession(encodeSignedSession(signed));
  }

  async importedValue(name: string): Promise<string | undefined> {
    const { configuration, connection } = await this.cas.attest(`${name}/api`, { evidence: undefined });
    connection.close();
    return configuration.environment["I"];
  }

  #key(person: Person) {
    return this.#signers.get(person) ?? assert.fail("not a signer");
  }

  #entry(rule: Rule): unknown {
    if (rule.is === "at-least") return { [`require-at-least-${rule.count}`]: rule.of.map((one) => this.#entry(one)) };
    if (rule.is === "key") return this.#keyHashes[rule.who];
    if (rule.is === "signer") return { signer: this.#key(rule.who).publicKey.export({ type: "spki", format: "pem" }).toString() };
    return rule.is.toUpperCase();
  }
}

function exportsOf(targets: readonly string[]): object {
  if (targets.length === 0) return {};
  return { export: targets.map((target) => (target.endsWith("/") ? { namespace: target.slice(0, -1) } : { session: target })) };
}

async function outcome(answer: Promise<unknown>): Promise<string> {
  try {
    await answer;
    return "ok";
  } catch (error) {
    if (error instanceof CasProblemError) return error.problem.code;
    if (error instanceof RefusedError) return error.refusal.code;
    throw error;
  }
}

type Command = fc.AsyncCommand<Model, Real>;

function command(
  description: string,
  run: (model: Model, real: Real) => Promise<void>,
  check: (model: Readonly<Model>) => boolean = () => true,
): Command {
  return { toString: () => description, run, check };
}

/** Uploads as a creation, as an update of what is current, or with a stale predecessor. */
function upload(name: string, document: Document, hands: Hands, how: "create" | "update" | "stale"): Command {
  return command(`${how} ${name} by ${hands} ${JSON.stringify(document)}`, async (model, real) => {
    const current = model.sessions.get(name)?.hash ?? "ab".repeat(32);
    const predecessor = { create: undefined, update: current, stale: "cd".repeat(32) }[how];
    const { text, value } = real.text(name, document, predecessor);
    const expected = model.verdict(name, predecessor, hands);
    const uploading = real.upload(text, hands);
    assert.equal(await outcome(uploading), expected);
    if (expected === "ok") model.accept(name, document, { value, hash: (await uploading).hash }, hands);
  });
}

/** Several update the same version at once: exactly one wins (hazard C1), unless nobody may. */
function race(name: string, documents: readonly Document[], hands: Hands): Command {
  const run = async (model: Model, real: Real) => {
    const { hash } = model.sessions.get(name) ?? assert.fail();
    const verdict = model.verdict(name, hash, hands);
    const entries = documents.map((document) => {
      const { text, value } = real.text(name, document, hash);
      return { document, value, uploading: real.upload(text, hands) };
    });
    const outcomes = await Promise.all(entries.map(({ uploading }) => outcome(uploading)));
    assert.equal(outcomes.filter((each) => each === "ok").length, verdict === "ok" ? 1 : 0, String(outcomes));
    const winner = entries[outcomes.indexOf("ok")];
    if (winner === undefined) return;
    model.accept(name, winner.document, { value: winner.value, hash: (await winner.uploading).hash }, hands);
    // Whoever comes second is judged by the winner's rules: the race may have cost more than the turn.
    const after = model.verdict(name, hash, hands);
    assert.deepEqual(
      outcomes.filter((each) => each !== "ok"),
      documents.slice(1).map(() => after),
    );
  };
  return command(`race for ${name} by ${hands} ${JSON.stringify(documents)}`, run, (model) => model.sessions.has(name));
}

function read(name: string, person: Person): Command {
  return command(`read ${name} by ${person}`, async (model, real) => {
    const session = model.sessions.get(name);
    const reading = real.client(person).readSession(name);
    if (session !== undefined && may("read", session, [person])) {
      const { hash, text } = await reading;
      assert.equal(hash, session.hash);
      assert.ok(text.includes(session.value));
    } else {
      assert.equal(await outcome(reading), model.hidden(name, person));
    }
  });
}

function list(name: string, person: Person): Command {
  return command(`list ${name} by ${person}`, async (model, real) => {
    const session = model.sessions.get(name);
    const listing = real.client(person).listSessions(name);
    if (session !== undefined && may("list", session, [person])) {
      const children = [...model.sessions.keys()].filter((child) => parentOf(child) === name).sort();
      assert.deepEqual(
        (await listing).sessions.map((child) => child.name),
        children,
      );
    } else {
      assert.equal(await outcome(listing), model.hidden(name, person));
    }
  });
}

/** Starts the service of a session that imports: it gets the exporter's present value, or is refused (SL-145, hazard C4). */
function start(name: string): Command {
  const run = async (model: Model, real: Real) => {
    const expected = model.imported(name);
    const starting = real.importedValue(name);
    if (expected === undefined) assert.equal(await outcome(starting), "values_unresolved");
    else assert.equal(await starting, expected);
  };
  return command(`start ${name}`, run, (model) => model.sessions.get(name)?.importFrom !== undefined);
}

const name = fc.constantFrom(...NAMES);
const certificate = fc.constantFrom<Person>(0, 1, 2);
const hands: fc.Arbitrary<Hands> = fc.oneof(
  { weight: 3, arbitrary: certificate.map((person) => [person]) },
  { weight: 1, arbitrary: fc.constantFrom<Hands>([3], [4], [3, 4], [4, 3]) },
);
const key: fc.Arbitrary<Rule> = certificate.map((who) => ({ is: "key", who }));
const signer: fc.Arbitrary<Rule> = fc.constantFrom(...SIGNERS).map((who) => ({ is: "signer", who }));
const alone: fc.Arbitrary<readonly Rule[]> = fc.constantFrom<Rule>({ is: "any" }, { is: "none" }).map((rule) => [rule]);
const quorum: fc.Arbitrary<Rule> = fc
  .uniqueArray(fc.oneof(key, signer), { minLength: 1, maxLength: 4, selector: (rule) => JSON.stringify(rule) })
  .chain((of) => fc.integer({ min: 1, max: of.length }).map((count): Rule => ({ is: "at-least", count, of })));
const creator = fc.constant<Rule>({ is: "creator" });
const some = (entry: fc.Arbitrary<Rule>) => fc.oneof(alone, fc.array(entry, { minLength: 1, maxLength: 3 }));
const changing = fc.option(some(fc.oneof(creator, key, signer, quorum)), { nil: undefined });
/** CREATOR may be a signer, who cannot read (SL-187): reading is granted to keys here, or left to its default. */
const reading = fc.option(some(key), { nil: undefined });
const document: fc.Arbitrary<Document> = fc.record({
  read: reading,
  update: changing,
  create: changing,
  list: reading,
  exportTo: fc.uniqueArray(fc.oneof(name, fc.constantFrom("a/", "b/", "a/x/")), { maxLength: 2 }),
  importFrom: fc.option(name, { nil: undefined }),
});
const how = fc.constantFrom<"create" | "update" | "stale">("create", "update", "update", "update", "stale");
const commands: readonly fc.Arbitrary<Command>[] = [
  ...Array.from({ length: 3 }, () => fc.tuple(name, document, hands, how).map((all) => upload(...all))),
  fc.tuple(name, fc.array(document, { minLength: 2, maxLength: 3 }), hands).map((all) => race(...all)),
  fc.tuple(name, certificate).map((all) => read(...all)),
  fc.tuple(name, certificate).map((all) => list(...all)),
  name.map(start),
];
/** Most of what is interesting happens to sessions that exist. */
const founders: readonly Hands[] = [[0], [1], [3, 4]];
const beginning = fc.tuple(...founders.map(() => document)).map((documents) => {
  return documents.map((first, at) =>
    upload(["a", "b", "a/x"][at] ?? "a", { ...first, create: [{ is: "any" }] }, founders[at] ?? [0], "create"),
  );
});

test("hazards C1, C4, C5, C10 whatever several people do in whatever order, the CAS does what the model of who may do what says", async (t) => {
  const runs = fc.asyncProperty(beginning, fc.commands([...commands], { maxCommands: 60, size: "max" }), async (first, then) => {
    const cas = await startTestCas(t);
    try {
      await fc.asyncModelRun(() => ({ model: new Model(), real: new Real(cas) }), [...first, ...then]);
    } finally {
      await cas.stop();
    }
  });
  await fc.assert(runs, { numRuns: 25, endOnFailure: true });
});
