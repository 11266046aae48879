import { type Context, child } from "../reader.ts";
import type { Session } from "../session.ts";

/** SL-164: one session must not see two volumes of this one under the same name. */
export function checkVolumes({ volumes }: Session, context: Context): void {
  const seen = new Map<string, string>();
  for (const volume of volumes) {
    for (const { to, alias } of volume.exports) {
      const visible = alias ?? volume.name;
      const key = JSON.stringify([to.target, visible]);
      const other = seen.get(key);
      if (other !== undefined && other !== volume.name) {
        const message = `session \`${to.target}\` would see \`${other}\` and \`${volume.name}\` as \`${visible}\``;
        context.error(child(context.placeOf(volume), "export"), { rule: "SL-164", message, expected: "another `volume_alias`" });
      }
      seen.set(key, volume.name);
    }
  }
}
