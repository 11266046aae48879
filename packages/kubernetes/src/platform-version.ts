/** Version of the platform's programs; images are tagged with it. */
export const PLATFORM_VERSION = "0.1.0";
