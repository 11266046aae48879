import type { Context } from "../reader.ts";
import type { Session } from "../session.ts";
import { checkAccess } from "./check-access.ts";
import { checkFragments } from "./check-fragments.ts";
import { checkPlaceholders } from "./check-placeholders.ts";
import { checkScopes } from "./check-scopes.ts";
import { checkSecrets } from "./check-secrets.ts";
import { checkServices } from "./check-services.ts";
import { checkVaults } from "./check-vaults.ts";
import { checkVolumes } from "./check-volumes.ts";

/** References inside the document (SL-6, fifth step). */
export function checkSession(session: Session, context: Context): void {
  checkServices(session, context);
  checkSecrets(session, context);
  checkScopes(session, context);
  checkVaults(session, context);
  checkVolumes(session, context);
  checkAccess(session, context);
  checkPlaceholders(session, context);
  checkFragments(session, context);
}
