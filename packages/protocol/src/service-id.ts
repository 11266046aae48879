const SESSION_NAME = /^[A-Za-z0-9_\-.~]{1,128}(?:\/[A-Za-z0-9_\-.~]{1,128})*$/;
const COMPONENT = /^[A-Za-z0-9_\-.~]{1,128}$/;
const PASSWORD = /^[0-9]{1,16}$/;
const SESSION_MAX_CHARACTERS = 512;

export interface ServiceId {
  readonly session: string;
  readonly service: string;
  readonly oneTimePassword: string | undefined;
}

/** Reads `SESSION/SERVICE[@OTP]` (SL-98, C-38): the last `@` starts the password, the last `/` before it the service. Never throws. */
export function parseServiceId(text: string): ServiceId | undefined {
  const at = text.lastIndexOf("@");
  const oneTimePassword = at < 0 ? undefined : text.slice(at + 1);
  const path = at < 0 ? text : text.slice(0, at);
  const slash = path.lastIndexOf("/");
  if (slash < 0) return undefined;
  const session = path.slice(0, slash);
  const service = path.slice(slash + 1);
  if (!isSessionName(session) || !COMPONENT.test(service)) return undefined;
  if (oneTimePassword !== undefined && !PASSWORD.test(oneTimePassword)) return undefined;
  return { session, service, oneTimePassword };
}

/** Names are refused, never normalised (SL-37, SL-38). The root session `/` is not among them. */
export function isSessionName(name: string): boolean {
  if (name.length > SESSION_MAX_CHARACTERS || !SESSION_NAME.test(name)) return false;
  return name.split("/").every((component) => component !== "." && component !== "..");
}

/** The service id without its one-time password: fit for logs and for what Evidence covers. */
export function serviceName(id: ServiceId): string {
  return `${id.session}/${id.service}`;
}
