import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { type Evidence, encodeWorkload, VENDOR_TRUST_ANCHORS, verifyEvidence } from "@vouchsafe/attestation";
import { type Device, SystemCallError } from "@vouchsafe/linux";
import { qgsLength } from "../../attestation/src/tdx/qgs-message.ts";
import { configfsTsmSource, type ReportDirectory } from "../src/configfs-tsm.ts";
import type { EvidenceRequest, EvidenceSource } from "../src/evidence-source.ts";
import { gramineSource } from "../src/gramine.ts";
import { nitroModuleSource } from "../src/nitro-module.ts";
import { sevGuestSource } from "../src/sev-guest.ts";
import { type TdxGuestParts, tdxGuestSource } from "../src/tdx-guest.ts";

/*
 * No TEE is at hand: what kernels and modules answered on real hardware (VOUCHSAFE_VECTORS) stands behind the file or ioctl boundary, and goes
 * through the verifier at its recorded time.
 */
const vectors = process.env["VOUCHSAFE_VECTORS"] ?? join(import.meta.dirname, "../../../../shared/vectors");
const recorded = (path: string): Uint8Array => Uint8Array.from(readFileSync(join(vectors, path)));
const withVectors = (name: string, run: (t: TestContext) => void | Promise<void>) =>
  test(name, { skip: existsSync(vectors) ? false : `no recorded evidence at ${vectors}; VOUCHSAFE_VECTORS names another place` }, run);

const userData = Uint8Array.from({ length: 64 }, (_, index) => index);
const workload = encodeWorkload({ imageDigest: `sha256:${"ab".repeat(32)}`, fileSystemTag: "" });
const request: EvidenceRequest = { userData, workload: undefined, certifyKey: () => assert.fail("no key is certified here") };
const gather = (source: EvidenceSource, more: Partial<EvidenceRequest> = {}): Promise<Evidence> => source.gather({ ...request, ...more });
const MILAN = "sev-snp/microsoft-v3-milan-vcek";
const AT = new Date("2026-06-01T00:00:00Z");

/** A host's certificate table: GUID, offset, length for each, an entry of zeros, then the certificates. */
function certificateTable(): Uint8Array {
  const ask = new X509Certificate(Buffer.from(recorded(`${MILAN}/ask.pem`))).raw;
  const entries = [
    { guid: "8d75da6364e66445adc5f4b93be8accd", bytes: recorded(`${MILAN}/vcek.der`) },
    { guid: "79b3b74aacbba04fe4a02f05aef327c7".padEnd(32, "0"), bytes: Uint8Array.of(1) }, // known to nobody
    { guid: "79b3b74aacbbe44fa02f05aef327c782", bytes: ask },
  ];
  const head = Buffer.alloc((entries.length + 1) * 24);
  let offset = head.length;
  for (const [index, { guid, bytes }] of entries.entries()) {
    head.set(Uint8Array.fromHex(guid), index * 24);
    head.writeUInt32LE(offset, index * 24 + 16);
    head.writeUInt32LE(bytes.length, index * 24 + 20);
    offset += bytes.length;
  }
  return Buffer.concat([head, ...entries.map(({ bytes }) => bytes)]);
}

/** A configfs entry: every write of an option counts up; `interfere` plays somebody else who writes to it. */
function tsm(
  provider: string,
  outblob: Uint8Array,
  auxblob?: Uint8Array,
  interfere = 0,
): ReportDirectory & { readonly entries: Set<string>; inblob?: Uint8Array } {
  const entries = new Set<string>();
  let [generation, left] = [0, interfere];
  const directory: ReturnType<typeof tsm> = {
    entries,
    exists: (path) => path === "/tsm" || (path.endsWith("/auxblob") && auxblob !== undefined),
    make: (path) => void entries.add(path),
    remove: (path) => void entries.delete(path),
    write: (_, bytes) => {
      directory.inblob = bytes;
      generation += 1;
    },
    read: (path) => {
      if (path.endsWith("/provider")) return Buffer.from(`${provider}\n`);
      if (path.endsWith("/generation")) return Buffer.from(`${generation}\n`);
      if (path.endsWith("/auxblob")) return auxblob ?? assert.fail();
      if (left > 0) {
        left -= 1;
        generation += 1;
      }
      return outblob;
    },
  };
  return directory;
}

withVectors("configfs-tsm of an SEV-SNP guest: report and the host's certificates, verified as on the day", async () => {
  const directory = tsm("sev_guest", recorded(`${MILAN}/report.bin`), certificateTable());
  const evidence = await gather(configfsTsmSource("/tsm", directory));
  assert.deepEqual(directory.inblob, userData);
  assert.equal(directory.entries.size, 0, "the entry is removed");
  const claims = verifyEvidence(evidence, { now: AT, trustAnchors: VENDOR_TRUST_ANCHORS, collateral: {} });
  assert.equal(claims.kind, "snp");
});

withVectors("configfs-tsm of a TDX guest: the quote, with the workload where the platform left one", async () => {
  const quote = recorded("tdx/google-v4-gcp-cos113/quote.bin");
  const { kind, bytes, endorsements } = await gather(configfsTsmSource("/tsm", tsm("tdx_guest", quote)), { workload });
  assert.equal(kind, "tdx");
  assert.deepEqual(Uint8Array.from(bytes), quote);
  assert.deepEqual(endorsements?.get("workload"), workload);
});

withVectors("configfs-tsm: an answer to somebody else's request is not taken; one to one's own is", async () => {
  const report = recorded(`${MILAN}/report.bin`);
  const twice = tsm("sev_guest", report, undefined, 2);
  assert.deepEqual(Uint8Array.from((await gather(configfsTsmSource("/tsm", twice))).bytes), report);
  await assert.rejects(gather(configfsTsmSource("/tsm", tsm("sev_guest", report, undefined, 99))), /somebody else wrote/);
});

test("configfs-tsm: another provider is refused by name", async () => {
  await assert.rejects(gather(configfsTsmSource("/tsm", tsm("arm_cca_guest", userData))), /provider "arm_cca_guest" are not supported/);
});

/** The driver: answers with a recorded report and table, or refuses as a host without certificates does. */
function sevGuest(report: Uint8Array, table: Uint8Array | undefined, asked: bigint[] = []): () => Device {
  return () => ({
    control: (command, structure, pointers = []) => {
      asked.push(command);
      const [requested, response] = pointers;
      assert.deepEqual(requested?.buffer.subarray(0, 64), userData);
      if (command === 0xc0205302n && table === undefined) {
        new DataView(structure.buffer).setUint32(28, 1, true);
        throw new SystemCallError("ioctl", 5, "sev-guest");
      }
      if (command === 0xc0205302n) requested?.pointers?.[0]?.buffer.set(table ?? []);
      const view = new DataView(response?.buffer.buffer ?? assert.fail());
      view.setUint32(4, report.length, true);
      response?.buffer.set(report, 32);
    },
    [Symbol.dispose]: () => {},
  });
}

withVectors("/dev/sev-guest: the extended report with its certificates, else the report alone", async () => {
  const report = recorded(`${MILAN}/report.bin`);
  const evidence = await gather(sevGuestSource("/dev/null", sevGuest(report, certificateTable())));
  const claims = verifyEvidence(evidence, { now: AT, trustAnchors: VENDOR_TRUST_ANCHORS, collateral: {} });
  assert.equal(claims.details["signingKey"], "VCEK");
  const asked: bigint[] = [];
  const alone = await gather(sevGuestSource("/dev/null", sevGuest(report, undefined, asked)), { workload });
  assert.deepEqual(asked, [0xc0205302n, 0xc0205300n]);
  assert.deepEqual([...(alone.endorsements?.keys() ?? [])], ["workload"]);
  assert.deepEqual(Uint8Array.from(alone.bytes), report);
});

/** The driver writes a report behind the report data; the host's service makes a quote of it. */
function tdxGuest(quote: Uint8Array, { refusal = 0, configuration }: { refusal?: number; configuration?: string } = {}) {
  const asked: { port?: number; request?: Uint8Array } = {};
  const head = Buffer.alloc(24);
  for (const [at, value] of [
    [4, 1],
    [8, 24 + quote.length],
    [12, refusal],
    [20, quote.length],
  ] as const)
    head.writeUInt32LE(value, at);
  head.writeUInt16LE(1, 0);
  let left = Buffer.concat([qgsLength(24 + quote.length), head, quote]);
  const parts: TdxGuestParts = {
    open: () => ({
      control: (command, structure) => {
        assert.deepEqual([command, structure.length], [0xc4405401n, 1088]);
        assert.deepEqual(structure.subarray(0, 64), userData);
        structure.fill(0x5e, 64);
      },
      [Symbol.dispose]: () => {},
    }),
    connect: (port) => ({
      write: (bytes) => Object.assign(asked, { port, request: bytes }),
      read: (length) => {
        const part = left.subarray(0, length);
        left = left.subarray(length);
        return part;
      },
      [Symbol.dispose]: () => {},
    }),
    readConfiguration: () => configuration,
  };
  return { parts, asked };
}

withVectors(
  "/dev/tdx_guest: the driver's report, made a quote by the host's service, at the port that its configuration names",
  async () => {
    const folder = "tdx/near-v4-2026-03-b";
    const quote = recorded(`${folder}/quote.bin`);
    const { parts, asked } = tdxGuest(quote, { configuration: "# comment\n port = 4051 \n" });
    const evidence = await gather(tdxGuestSource("/dev/null", parts), { workload });
    assert.deepEqual([evidence.kind, [...(evidence.endorsements?.keys() ?? [])]], ["tdx", ["workload"]]);
    const now = new Date("2026-03-15T00:00:00Z");
    const context = { now, trustAnchors: VENDOR_TRUST_ANCHORS, collateral: {}, insecure: "signature-chain-only" } as const;
    assert.equal(verifyEvidence({ kind: "tdx", bytes: evidence.bytes }, context).kind, "tdx");
    assert.equal(asked.port, 4051);
    assert.equal(
      asked.request?.subarray(-1024).every((byte) => byte === 0x5e),
      true,
    );
    const other = tdxGuest(quote);
    await gather(tdxGuestSource("/dev/null", other.parts));
    assert.equal(other.asked.port, 4050);
    const refusing = gather(tdxGuestSource("/dev/null", tdxGuest(quote, { refusal: 0x12006 }).parts));
    await assert.rejects(refusing, ({ cause }: Error) => cause instanceof Error && /refuses with error code 0x12006/.test(cause.message));
  },
);

const text = (value: string): Uint8Array => Buffer.from([0x60 | value.length, ...Buffer.from(value)]);
const byteString = (bytes: Uint8Array): Uint8Array => Buffer.concat([Uint8Array.of(0x59, bytes.length >> 8, bytes.length & 0xff), bytes]);
/** CBOR of a map with one member. */
const single = (name: string, value: Uint8Array): Uint8Array => Buffer.concat([Uint8Array.of(0xa1), text(name), value]);

const nitroModule = (bytes: Uint8Array): (() => Device) => {
  return () => ({
    control: (command, message, [asked, response] = []) => {
      assert.equal(command, 0xc0200a00n);
      assert.match(Buffer.from(asked?.buffer ?? []).toString("latin1"), /Attestation.*user_data/s);
      assert.ok(Buffer.from(asked?.buffer ?? []).includes(userData));
      response?.buffer.set(bytes);
      new DataView(message.buffer).setBigUint64(24, BigInt(bytes.length), true);
    },
    [Symbol.dispose]: () => {},
  });
};

withVectors("/dev/nsm: the document out of the module's CBOR, verified as on the day; a refusal in its own word", async () => {
  const { verify_at: at } = JSON.parse(readFileSync(join(vectors, "nitro/dstack-2025-12-25-a/expected.json"), "utf8"));
  const document = recorded("nitro/dstack-2025-12-25-a/document.cose");
  const evidence = await gather(
    nitroModuleSource("/dev/null", nitroModule(single("Attestation", single("document", byteString(document))))),
  );
  assert.equal(verifyEvidence(evidence, { now: new Date(at), trustAnchors: VENDOR_TRUST_ANCHORS, collateral: {} }).kind, "nitro");
  const refused = gather(nitroModuleSource("/dev/null", nitroModule(single("Error", text("InvalidOperation")))));
  await assert.rejects(refused, ({ cause }: Error) => cause instanceof Error && /refuses with InvalidOperation/.test(cause.message));
});

withVectors("Gramine's /dev/attestation: user data in, quote out", async (t) => {
  const root = mkdtempSync(join(tmpdir(), "vouchsafe-gramine-"));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  const source = gramineSource(join(root, "attestation"));
  assert.match(source.absence() ?? "", /no enclave of Gramine/);
  mkdirSync(join(root, "attestation"));
  writeFileSync(join(root, "attestation/user_report_data"), "");
  const quote = recorded("sgx/phala-v3-processor-ca-2025-06/quote.bin");
  writeFileSync(join(root, "attestation/quote"), quote);
  assert.equal(source.absence(), undefined);
  const { kind, bytes } = await gather(source);
  assert.equal(kind, "sgx");
  assert.deepEqual(Uint8Array.from(bytes), quote);
  assert.deepEqual(Uint8Array.from(readFileSync(join(root, "attestation/user_report_data"))), userData);
});
