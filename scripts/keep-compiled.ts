/** Loaded before each test file: what the last one compiled is not compiled again. Programs that a test starts are as they would be without it. */
import { enableCompileCache } from "node:module";
import { join } from "node:path";

enableCompileCache(join(import.meta.dirname, "..", ".cache", "compiled"));
