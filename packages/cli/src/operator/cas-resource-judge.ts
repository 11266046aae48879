import { randomInt } from "node:crypto";
import { CAS_SOFTWARE } from "@vouchsafe/cas";
import {
  amdSource,
  bundleSource,
  CollateralError,
  CollateralProvider,
  type CollateralSource,
  collateralFor,
  forwardClock,
  intelSource,
  memoryFloors,
  parseBundle,
  vendorSources,
} from "@vouchsafe/collateral";
import type { CasResource, Cluster } from "@vouchsafe/kubernetes";
import {
  type CasTerms,
  type CasVerdict,
  casTrustAnchors,
  judgeCasEvidence,
  type OpenCredential,
  ProtocolError,
  type VerifiedCasStatement,
} from "@vouchsafe/protocol";
import { z } from "zod";

type Places = CasResource["spec"]["collateral"];
interface KnownProvider {
  /** What it was made of: another wish is another provider. */
  readonly wish: string;
  readonly provider: CollateralProvider;
}

const RANDOM_STEPS = 1_000_000;
const KNOWN_MAX = 256;
const ConfigMap = z.object({ data: z.record(z.string(), z.string()).default({}) });

/**
 * Judges the evidence of every CAS of a cluster as its resource wants it (`spec.attestation`), with documents from where the CAS has its own
 * (`spec.collateral`), else from Intel and AMD. What was fetched is kept in memory and asked for again before it ends.
 */
export class CasResourceJudge {
  readonly #cluster: Pick<Cluster, "find">;
  readonly #now: () => Date;
  readonly #known = new Map<string, KnownProvider>();

  constructor(cluster: Pick<Cluster, "find">, now: () => Date) {
    this.#cluster = cluster;
    this.#now = forwardClock(now);
  }

  /** Throws what the cluster answers where a ConfigMap with documents cannot be read, EvidenceError for a root that is none, ProtocolError. */
  judge(cas: CasResource, attested: VerifiedCasStatement, openCredential: OpenCredential | undefined): Promise<CasVerdict> {
    const { attestation: terms, collateral } = cas.spec;
    const provider = this.#provider(cas, terms);
    return judgeCasEvidence(attested, terms, openCredential, {
      ownSecurityVersion: CAS_SOFTWARE.securityVersion,
      now: this.#now(),
      findCollateral: async (evidence, context) => {
        try {
          return await collateralFor(provider, evidence, { update: collateral?.update ?? "standard", context });
        } catch (cause) {
          if (!(cause instanceof CollateralError)) throw cause;
          throw new ProtocolError("CAS_EVIDENCE", cause.message, { cause, remedy: "Say where to get it: spec.collateral." });
        }
      },
    });
  }

  #provider({ metadata, spec }: CasResource, terms: CasTerms): CollateralProvider {
    const { namespace = "default" } = metadata;
    const wish = JSON.stringify([spec.collateral, terms.roots, terms.onlyForTesting.simulatedRoot]);
    const known = this.#known.get(metadata.uid);
    if (known?.wish === wish) return known.provider;
    const provider = new CollateralProvider({
      sources: this.#sources(spec.collateral, namespace),
      anchors: casTrustAnchors(terms).anchors,
      floors: memoryFloors(),
      now: this.#now,
      random: () => randomInt(RANDOM_STEPS) / RANDOM_STEPS,
      maxAgeDays: spec.collateral?.maxAgeDays,
      refreshIntervalMs: spec.collateral === undefined ? undefined : spec.collateral.refreshHours * 3_600_000,
    });
    this.#known.delete(metadata.uid);
    this.#known.set(metadata.uid, { wish, provider });
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= KNOWN_MAX) break;
      this.#known.delete(oldest);
    }
    return provider;
  }

  #sources(places: Places, namespace: string): readonly CollateralSource[] {
    if (places === undefined) return vendorSources();
    const http = { ca: places.caCertificate, timeoutMs: places.timeoutSeconds * 1000 };
    const online = [
      ...places.intel.map((url) => intelSource(new URL(url), http)),
      ...places.amd.map((url) => amdSource(new URL(url), http)),
    ];
    return [...places.bundles.map((bundle) => this.#bundle(namespace, bundle)), ...(places.offline ? [] : online)];
  }

  #bundle(namespace: string, { configMap: name, key }: { readonly configMap: string; readonly key: string }): CollateralSource {
    const place = `ConfigMap ${name}, ${key}`;
    return bundleSource(place, async () => {
      const found = await this.#cluster.find({ apiVersion: "v1", kind: "ConfigMap", metadata: { name, namespace } });
      const text = found === undefined ? undefined : ConfigMap.parse(found).data[key];
      if (text === undefined) throw new CollateralError("COLLATERAL_BUNDLE", `${place} does not exist in ${namespace}`);
      return parseBundle(text, place);
    });
  }
}
