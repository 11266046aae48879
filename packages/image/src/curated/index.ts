import type { BuildPlan } from "../plan.ts";
import { planOf } from "./curated-image.ts";
import { mariadb } from "./mariadb.ts";
import { memcached } from "./memcached.ts";
import { nginx } from "./nginx.ts";
import { redis } from "./redis.ts";

/** The curated images (manifests section 11), by name. What is built, published and offered follows from this list. */
const CURATED = new Map([redis, memcached, nginx, mariadb].map((image) => [image.name, image]));

/** Names of the curated images. */
export const curatedImages: readonly string[] = [...CURATED.keys()];

/** The plan of a curated image under a reference whose last path component is its name, e.g. `vouchsafe.local/redis:latest`; undefined for others. */
export function planCuratedImage(reference: string): BuildPlan | undefined {
  const name = /([^/:@]+)(?::[^/:@]*)?$/.exec(reference)?.[1];
  const image = name === undefined ? undefined : CURATED.get(name);
  return image === undefined ? undefined : planOf(image, reference);
}
