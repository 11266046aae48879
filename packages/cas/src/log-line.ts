export type LogLevel = "DEBUG" | "INFO" | "WARN" | "ERROR";

/** Where lines go; standard error unless told. */
export type WriteLine = (line: string) => void;

/** `<date> <time> <LEVEL> <text>`: scripts cut out the seventh word of some of these lines (C-8). */
export function logLine(time: Date, level: LogLevel, text: string): string {
  const [date, clock] = time.toISOString().slice(0, 19).split("T");
  return `${date} ${clock} ${level} ${text}`;
}

export interface Log {
  info(text: string): void;
  warn(text: string): void;
  error(text: string): void;
}

/** Texts come from us; what others wrote (names, addresses) has been checked before. */
export function createLog(write: WriteLine, now: () => Date): Log {
  const at = (level: LogLevel) => (text: string) => write(logLine(now(), level, text.replaceAll(/[\r\n]+/g, " ")));
  return { info: at("INFO"), warn: at("WARN"), error: at("ERROR") };
}
