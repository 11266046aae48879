/** Version of the program and of the platform images it builds. */
export const VERSION = "0.1.0";
