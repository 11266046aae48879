import { sign } from "node:crypto";
import { join } from "node:path";
import type { SimulatedKind, TcbStatus } from "@vouchsafe/attestation";
import { openDevelopmentPlatform } from "../development/development-platform.ts";
import { findOwnPlatform, type OwnPlatform } from "../identity/own-platform.ts";

/** A simulated platform whose maker may say something worse of it than that it is up to date. */
export interface TestPlatform {
  readonly platform: OwnPlatform;
  /** PEM file, made with the first evidence. */
  readonly rootFile: string;
  status: TcbStatus;
}

/** Of SGX or TDX: the makers of the other kinds publish no levels. */
export function simulatedPlatform(directory: string, kind: Extract<SimulatedKind, "sgx" | "tdx">): TestPlatform {
  const own = findOwnPlatform({ simulated: { directory, kind } }, []);
  if (own === undefined) throw new TypeError("a simulated platform is always there");
  const test: TestPlatform = {
    rootFile: join(directory, "root.pem"),
    status: "UpToDate",
    platform: {
      ...own,
      source: {
        ...own.source,
        gather: async (request) => {
          const evidence = await own.source.gather(request);
          const { keys } = openDevelopmentPlatform(directory, new Date());
          const document = Buffer.from(evidence.endorsements?.get("tcb-info") ?? []).toString();
          const text = (/^\{"tcbInfo":(\{.*\}),"signature"/s.exec(document)?.[1] ?? "").replace('"UpToDate"', JSON.stringify(test.status));
          const signature = sign("sha256", Buffer.from(text), { key: keys.authority, dsaEncoding: "ieee-p1363" }).toString("hex");
          const tcbInfo = Buffer.from(`{"tcbInfo":${text},"signature":"${signature}"}`);
          return { ...evidence, endorsements: new Map([...(evidence.endorsements ?? []), ["tcb-info", Uint8Array.from(tcbInfo)]]) };
        },
      },
    },
  };
  return test;
}
