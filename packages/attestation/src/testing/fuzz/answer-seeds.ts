import { encode } from "cborg";
import { u16, u32 } from "../../core/bytes.ts";
import { encodeTpmPublic } from "../../tpm/encode-tpm-quote.ts";
import { mintNitro } from "../mint-nitro.ts";
import { mintSnp } from "../mint-snp.ts";
import { p256, tpmQuotes, tpmSignatures } from "./fuzz-seeds.ts";

/** What the Nitro module answers: a document, or a word. */
export const nsmAnswers = (): readonly Uint8Array[] => [
  encode(new Map([["Attestation", new Map([["document", mintNitro()]])]])),
  encode(new Map([["Error", "InvalidOperation"]])),
];

/** VCEK and ASK, and an entry that nobody knows. */
export function certificateTables(): readonly Uint8Array[] {
  const { endorsementKey, signer } = mintSnp();
  const entries = [
    { guid: "8d75da6364e66445adc5f4b93be8accd", der: endorsementKey.der },
    { guid: "79b3b74aacbb2f4fa05aaef327c78204", der: new Uint8Array(3) },
    { guid: "79b3b74aacbbe44fa02f05aef327c782", der: signer.der },
  ];
  const header = Buffer.alloc((entries.length + 1) * 24);
  let at = header.length;
  for (const [index, { guid, der }] of entries.entries()) {
    header.set(Buffer.from(guid, "hex"), index * 24);
    header.writeUInt32LE(at, index * 24 + 16);
    header.writeUInt32LE(der.length, index * 24 + 20);
    at += der.length;
  }
  return [Buffer.concat([header, ...entries.map(({ der }) => der)])];
}

/** Of the Quote Generation Service of a TDX host. */
export function qgsAnswers(): readonly Uint8Array[] {
  const head = Buffer.alloc(24);
  head.writeUInt16LE(1, 0);
  for (const [at, value] of [
    [4, 1],
    [8, 60],
    [16, 4],
    [20, 32],
  ] as const)
    head.writeUInt32LE(value, at);
  return [Buffer.concat([head, new Uint8Array(4), new Uint8Array(32).fill(4)])];
}

/** Of CreatePrimary, PCR_Read and Quote; the command is chosen by the first byte. */
export function tpmAnswers(): readonly Uint8Array[] {
  const answer = (tag: number, body: Uint8Array) => {
    const head = Buffer.alloc(10);
    head.writeUInt16BE(tag, 0);
    head.writeUInt32BE(10 + body.length, 2);
    return Buffer.concat([head, body]);
  };
  const area = encodeTpmPublic(p256.privateKey);
  const [message = area] = tpmQuotes();
  const [signature = area] = tpmSignatures();
  const sized = (bytes: Uint8Array) => Buffer.concat([u16(bytes.length), bytes]);
  const parameters = (bytes: Uint8Array) => Buffer.concat([u32(bytes.length), bytes, Buffer.from("0000010000", "hex")]);
  const pcrValues = Buffer.concat([
    u32(7),
    u32(1),
    Buffer.from("000b03810000", "hex"),
    u32(2),
    sized(new Uint8Array(32)),
    sized(new Uint8Array(32)),
  ]);
  const answers = [
    answer(0x8002, Buffer.concat([u32(0x80000000), parameters(sized(area))])),
    answer(0x8001, pcrValues),
    answer(0x8002, parameters(Buffer.concat([sized(message), signature]))),
    answer(0x8001, sized(area)),
    answer(0x8001, Buffer.concat([sized(Buffer.from("01c00002000b0002000600000400", "hex")), sized(new Uint8Array(34))])),
    answer(0x8002, parameters(sized(new Uint8Array(512)))),
  ];
  return answers.map((bytes, index) => Buffer.concat([Uint8Array.of(index), bytes]));
}
