import type { Context } from "../reader.ts";
import type { Session } from "../session.ts";

/** References inside the document (SL-6, fifth step). */
export function checkSession(_session: Session, _context: Context): void {}
