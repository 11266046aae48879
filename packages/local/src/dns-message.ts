/** What a name means inside a mesh. */
export interface Zone {
  /** IPv4 addresses by name in lower case, without the final dot. */
  readonly addresses: ReadonlyMap<string, readonly string[]>;
}

/*
 * Messages of the domain name system (RFC 1035 §4), as far as a mesh needs them: one question of class IN, answers of type A. Everything comes
 * from inside the containers, so it is read with limits: no compression in questions, no second question, nothing behind what was announced.
 */
const HEADER_BYTES = 12;
const NAME_MAX_BYTES = 255;
const TYPE_A = 1;
const CLASS_IN = 1;
const TTL_SECONDS = 5;
/** RCODEs. */
const NO_ERROR = 0;
const FORMAT_ERROR = 1;
const NAME_ERROR = 3;
const NOT_IMPLEMENTED = 4;
const RESPONSE = 0x8000;
const AUTHORITATIVE = 0x0400;
const RECURSION_DESIRED = 0x0100;
const RECURSION_AVAILABLE = 0x0080;
const OPCODE_MASK = 0x7800;
const TRUNCATED = 0x0200;

interface Question {
  readonly name: string;
  readonly type: number;
  readonly class: number;
  /** The question as it came, to be repeated in the reply. */
  readonly bytes: Uint8Array;
}

function parseQuestion(message: Buffer): Question | undefined {
  const labels: string[] = [];
  let at = HEADER_BYTES;
  for (;;) {
    const length = message[at];
    if (length === undefined || length > 63) return undefined; // truncated, or a compression pointer
    at += 1;
    if (length === 0) break;
    if (at + length > message.length || at - HEADER_BYTES + length > NAME_MAX_BYTES) return undefined;
    labels.push(message.toString("latin1", at, at + length).toLowerCase());
    at += length;
  }
  if (at + 4 > message.length) return undefined;
  return {
    name: labels.join("."),
    type: message.readUInt16BE(at),
    class: message.readUInt16BE(at + 2),
    bytes: message.subarray(HEADER_BYTES, at + 4),
  };
}

function reply(query: Buffer, code: number, question: Uint8Array, answers: readonly Uint8Array[], maxBytes: number): Uint8Array {
  const header = Buffer.alloc(HEADER_BYTES);
  query.copy(header, 0, 0, 2);
  const kept = query.length >= 4 ? query.readUInt16BE(2) & (OPCODE_MASK | RECURSION_DESIRED) : 0;
  let flags = RESPONSE | AUTHORITATIVE | RECURSION_AVAILABLE | kept | code;
  let shown = answers;
  const room = maxBytes - HEADER_BYTES - question.length;
  if (answers.reduce((sum, { length }) => sum + length, 0) > room) {
    shown = [];
    flags |= TRUNCATED;
  }
  header.writeUInt16BE(flags, 2);
  header.writeUInt16BE(question.length === 0 ? 0 : 1, 4);
  header.writeUInt16BE(shown.length, 6);
  return Buffer.concat([header, question, ...shown]);
}

function addressRecord(address: string): Uint8Array {
  const record = Buffer.alloc(16);
  record.writeUInt16BE(0xc00c, 0); // the name is that of the question
  record.writeUInt16BE(TYPE_A, 2);
  record.writeUInt16BE(CLASS_IN, 4);
  record.writeUInt32BE(TTL_SECONDS, 6);
  record.writeUInt16BE(4, 10);
  record.set(address.split(".").map(Number), 12);
  return record;
}

/** Answers one message; undefined where silence is the right answer. `maxBytes`: 512 over UDP, 65535 over TCP. */
export function answerQuery(message: Uint8Array, zone: Zone, maxBytes: number): Uint8Array | undefined {
  const query = Buffer.from(message.buffer, message.byteOffset, message.length);
  if (query.length < HEADER_BYTES || (query.readUInt16BE(2) & RESPONSE) !== 0) return undefined;
  const nothing = new Uint8Array();
  if ((query.readUInt16BE(2) & OPCODE_MASK) !== 0) return reply(query, NOT_IMPLEMENTED, nothing, [], maxBytes);
  const question = query.readUInt16BE(4) === 1 ? parseQuestion(query) : undefined;
  if (question === undefined) return reply(query, FORMAT_ERROR, nothing, [], maxBytes);
  const addresses = question.class === CLASS_IN ? zone.addresses.get(question.name) : undefined;
  if (addresses === undefined) return reply(query, NAME_ERROR, question.bytes, [], maxBytes);
  // The name exists; for other types than A (AAAA above all) it has nothing.
  return reply(query, NO_ERROR, question.bytes, question.type === TYPE_A ? addresses.map(addressRecord) : [], maxBytes);
}
