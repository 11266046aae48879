/** The reference page of the language, from its definition: `node packages/policy/test/reference-page.ts > packages/policy/REFERENCE.md`. */

import { sessionJsonSchema } from "../src/index.ts";
import { type DescribedMapping, fieldsOf, mappingsIn } from "../src/schema-words.ts";
import { SECRET_FORMATS } from "../src/secret-formats.ts";

function section(path: string, mapping: DescribedMapping, written: Set<string>): string {
  if (written.has(path)) return "";
  written.add(path);
  const fields = fieldsOf(mapping);
  const rows = fields.map(({ name, value, meaning, required }) => {
    const cell = (text: string) => text.replaceAll("|", "\\|");
    return `| \`${name}\`${required ? " (required)" : ""} | ${cell(value)} | ${cell(meaning)} |\n`;
  });
  const head = `## ${path === "" ? "The document" : `\`${path}\``}\n\n| key | value | meaning |\n|---|---|---|\n${rows.join("")}\n`;
  const below = fields.flatMap(({ name, schema }) =>
    mappingsIn(schema).map((inner) => section(path === "" ? name : `${path}.${name}`, inner, written)),
  );
  return head + below.join("");
}

/** The whole page. */
export function referencePage(): string {
  const formats = Object.entries(SECRET_FORMATS).map(([kind, table]) => {
    const names = (output: string) =>
      [...table]
        .filter(([, format]) => format.output === output)
        .map(([name]) => (name === "" ? "*(none)*" : name.startsWith(".") ? `\`${name}\`` : `\`:${name}\``));
    return `| \`${kind}\` | ${names("text").join(", ")} | ${names("bytes").join(", ")} |\n`;
  });
  return `# Keys of a session document

Made from the definition that reads sessions; a test compares. Wherever a section of \`attestation\`, \`platforms\`, \`security\` or \`access_policy\` stands, a placeholder
\`$$SCONE::name$$\` of a secret may stand for it.

${section("", sessionJsonSchema(), new Set())}## Formats of secrets

| kind | text, allowed everywhere | bytes, in injection files only |
|---|---|---|
${formats.join("")}`;
}

if (import.meta.main) process.stdout.write(referencePage());
