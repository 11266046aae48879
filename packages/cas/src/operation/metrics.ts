import { createServer } from "node:http";
import type { CollateralEvent } from "@vouchsafe/collateral";
import { Counter, collectDefaultMetrics, Gauge, Registry } from "prom-client";
import type { ListenAddress } from "../config/availability-config.ts";
import { listen } from "../tls/listen.ts";

/** What the operator may watch: counts, no names of sessions or services. */
export class CasMetrics {
  /** Other parts of the CAS add what they know. */
  readonly registry = new Registry();
  readonly #attestations = new Counter({
    name: "vouchsafe_cas_attestations_total",
    help: "Answered attestation requests, by refusal code or `granted`",
    labelNames: ["outcome"] as const,
    registers: [this.registry],
  });
  readonly #requests = new Counter({
    name: "vouchsafe_cas_requests_total",
    help: "Requests of the client API, by route and status",
    labelNames: ["route", "method", "status"] as const,
    registers: [this.registry],
  });

  readonly #collateral = new Counter({
    name: "vouchsafe_cas_collateral_requests_total",
    help: "Questions to sources of collateral, by source and outcome",
    labelNames: ["source", "outcome"] as const,
    registers: [this.registry],
  });

  constructor(state: { readonly instances: () => number; readonly sessions: () => number; readonly logEntries: () => number }) {
    collectDefaultMetrics({ register: this.registry, prefix: "vouchsafe_cas_" });
    this.#gauge("vouchsafe_cas_connected_instances", "Attested instances with an open connection", state.instances);
    this.#gauge("vouchsafe_cas_sessions", "Sessions", state.sessions);
    this.#gauge("vouchsafe_cas_log_entries", "Entries of the transparency log", state.logEntries);
  }

  countAttestation(outcome: string): void {
    this.#attestations.inc({ outcome });
  }

  countCollateral({ source, outcome }: Pick<CollateralEvent, "source" | "outcome">): void {
    this.#collateral.inc({ source, outcome });
  }

  countRequest(route: string, method: string, status: number): void {
    this.#requests.inc({ route, method, status: String(status) });
  }

  /** Serves `/metrics` without TLS, for the machine's own collector. */
  async serve(address: ListenAddress): Promise<AsyncDisposable & { readonly address: ListenAddress }> {
    const server = createServer((request, reply) => {
      if (request.url !== "/metrics") {
        reply.writeHead(404).end();
        return;
      }
      this.registry.metrics().then(
        (text) => reply.writeHead(200, { "content-type": this.registry.contentType }).end(text),
        () => reply.writeHead(500).end(),
      );
    });
    const bound = await listen(server, address);
    return {
      address: bound,
      [Symbol.asyncDispose]: () =>
        new Promise((resolve) => {
          server.close(() => resolve());
          server.closeAllConnections();
        }),
    };
  }

  #gauge(name: string, help: string, read: () => number): void {
    const gauge: Gauge = new Gauge({ name, help, registers: [this.registry], collect: () => gauge.set(read()) });
  }
}
