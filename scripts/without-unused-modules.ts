import type { Plugin } from "esbuild";

/** A room's modules do nothing when they are imported (style: no work at import time), so what is not used of them is left out. */
export const withoutUnusedModules: Plugin = {
  name: "without-unused-modules",
  setup: ({ onResolve, resolve }) => {
    onResolve({ filter: /^@vouchsafe\/|\.ts$/ }, async ({ path, resolveDir, importer, kind, pluginData }) => {
      if (pluginData === "asked" || kind === "entry-point") return undefined;
      const { path: found, errors } = await resolve(path, { resolveDir, importer, kind, pluginData: "asked" });
      return errors.length > 0 ? { errors } : { path: found, sideEffects: false };
    });
  },
};
