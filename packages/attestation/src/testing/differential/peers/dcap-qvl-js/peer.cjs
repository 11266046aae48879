// Answers questions of compare-verifiers.ts, one JSON object a line, with the package @phala/dcap-qvl.
const { createInterface } = require("node:readline");
const { QuoteVerifier, verify } = require("@phala/dcap-qvl");

const settings = new Map();
const BINARY = ["root_ca_crl", "pck_crl", "tcb_info_signature", "qe_identity_signature"];

function define({ define: name, collateral, root }) {
  const documents = Object.fromEntries(
    Object.entries(collateral).map(([member, value]) => [member, BINARY.includes(member) ? Buffer.from(value, "hex") : value]),
  );
  settings.set(name, { collateral: documents, root: Buffer.from(root, "hex") });
}

function judge({ setting, evidence, now }) {
  const { collateral, root } = settings.get(setting);
  try {
    const quote = Buffer.from(evidence, "hex");
    const report = QuoteVerifier === undefined ? verify(quote, collateral, now) : new QuoteVerifier(root).verify(quote, collateral, now);
    return { verdict: "accepted", status: report.status, advisories: report.advisory_ids };
  } catch (error) {
    return { verdict: "refused", reason: String(error?.message ?? error) };
  }
}

createInterface({ input: process.stdin }).on("line", (line) => {
  const question = JSON.parse(line);
  if (question.define !== undefined) define(question);
  else process.stdout.write(`${JSON.stringify(judge(question))}\n`);
});
