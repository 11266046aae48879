import type { HardwareKind } from "./session.ts";

/** The word of the language for a part of `HardwareFacts.minimumTcb`: `bootLoader` is `boot_loader`. */
export const tcbWord = (part: string): string => part.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

/** The part that a word of the language means: `boot_loader` is `bootLoader`. */
export const tcbPart = (word: string): string => word.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());

/** The word of the language for `HardwareFacts.minimumSvn`. */
export const minimumSvnWord = (kind: HardwareKind): string => (kind === "sgx" ? "config_svn_min" : "guest_svn_min");
