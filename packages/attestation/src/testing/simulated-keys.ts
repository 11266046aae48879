import { generateKeyPairSync } from "node:crypto";
import { createDevelopmentRoot } from "../simulated/development-root.ts";
import type { SimulatedPlatformKeys } from "../simulated/simulated-parts.ts";
import { createSimulatedPlatform, type SimulatedPlatform } from "../simulated/simulated-platform.ts";

export function newSimulatedKeys(): SimulatedPlatformKeys {
  const key = (namedCurve = "P-256") => generateKeyPairSync("ec", { namedCurve }).privateKey;
  return { root: key(), authority: key(), processor: key("P-384"), platform: key(), quoting: key() };
}

export function newSimulatedPlatform(now: Date): SimulatedPlatform {
  const keys = newSimulatedKeys();
  return createSimulatedPlatform(keys, createDevelopmentRoot(keys.root, now), now);
}
