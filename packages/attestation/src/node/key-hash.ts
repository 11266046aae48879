import { hash } from "../crypto/current-provider.ts";

const ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
const VERSION = 0x01;

/** Key hash as policies spell it: Base58Check with version byte 1 over the SHA-256 of the DER SubjectPublicKeyInfo (SL-173), 50 characters. */
export function nodeKeyHash(spki: Uint8Array): string {
  const payload = Uint8Array.of(VERSION, ...hash("sha256", spki));
  const bytes = Uint8Array.of(...payload, ...hash("sha256", hash("sha256", payload)).subarray(0, 4));
  let number = BigInt(`0x${bytes.toHex()}`); // version byte 1: no leading zero byte whose "1" could be lost
  let text = "";
  while (number > 0n) {
    text = ALPHABET.charAt(Number(number % 58n)) + text;
    number /= 58n;
  }
  return text;
}
