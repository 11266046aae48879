import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { resolveDebianBase } from "../debian-base.ts";
import { unpackPackages } from "../debian-packages.ts";
import { makeAuthority, secretsOf, type TestCertificate } from "../testing/certificates.ts";
import { freePort, startCurated, unpackCurated } from "../testing/curated-program.ts";
import { TEST_CACHE } from "../testing/sample-build.ts";
import { mariadb } from "./mariadb.ts";

const PASSWORD = `a"b'c\\d$~;--/*`;
const SCRIPT = `CREATE DATABASE shop;
USE shop;
CREATE TABLE stock (name VARCHAR(20) PRIMARY KEY, text TEXT);
INSERT INTO stock VALUES ('tea', 'green; -- "fine" ☕');
CREATE USER careless;
GRANT SELECT ON shop.* TO careless;
CREATE USER named REQUIRE SUBJECT '/CN=named';
GRANT SELECT, INSERT ON shop.* TO named;`;

test("MF-110: MariaDB of the curated image lets in accounts with a certificate of its CA only", async (context) => {
  const unpacked = await unpackCurated(context, mariadb);
  const { base } = await resolveDebianBase(TEST_CACHE, { names: ["mariadb-client-core"] });
  const tools = join(unpacked.directory, "tools");
  await unpackPackages(
    base.packages.filter(({ name }) => name === "mariadb-client-core" || name === "libmariadb3"),
    tools,
  );
  const own = makeAuthority(unpacked.directory, "own");
  const foreign = makeAuthority(unpacked.directory, "foreign");
  const serverCertificate = own.certificate("server", "shop-mariadb", "localhost");
  const start = async (script: string) => {
    const port = await freePort();
    const started = await startCurated(context, unpacked, mariadb, port, {
      variables: { database_port: String(port), sqlInitScript: script },
      secrets: {
        ...secretsOf("MARIADB_SERVER_CERT", serverCertificate),
        ...secretsOf("MARIADB_CA_CERT", { crt: own.ca, key: own.ca }),
        MYSQL_ROOT_PASSWORD: PASSWORD,
      },
    });
    return { ...started, port };
  };
  const { process: program, output, port } = await start(SCRIPT);
  assert.equal(program.exitCode, null, output());
  const ask = (
    user: string,
    statement: string,
    { tls = ["--ssl-verify-server-cert", `--ssl-ca=${own.ca}`], as }: { tls?: string[]; as?: TestCertificate | undefined } = {},
  ) => {
    const login = user === "root" ? [`-p${PASSWORD}`] : [];
    const client = as === undefined ? [] : [`--ssl-cert=${as.crt}`, `--ssl-key=${as.key}`];
    const words = [
      "--no-defaults",
      "--protocol=tcp",
      "-N",
      "-B",
      "--default-character-set=utf8mb4",
      "-h",
      "localhost",
      "-P",
      String(port),
      "-u",
      user,
    ];
    const { stdout, stderr } = spawnSync(join(tools, "usr/bin/mariadb"), [...words, ...login, ...tls, ...client, "-e", statement], {
      encoding: "utf8",
      timeout: 30_000,
      env: { LD_LIBRARY_PATH: join(tools, "usr/lib/x86_64-linux-gnu") },
    });
    return stdout === "" ? stderr : stdout;
  };
  const client = own.certificate("client");
  assert.equal(ask("root", "SELECT text FROM shop.stock", { as: client }), 'green; -- "fine" ☕\n');
  assert.equal(ask("careless", "SELECT name FROM shop.stock", { as: client }), "tea\n");
  const named = own.certificate("named");
  assert.equal(ask("named", "INSERT INTO shop.stock VALUES ('cup', ''); SELECT COUNT(*) FROM shop.stock", { as: named }), "2\n");
  assert.match(ask("named", "SELECT 1", { as: client }), /Access denied/, "REQUIRE of the script stays");
  assert.match(ask("named", "SELECT 1 FROM mysql.global_priv", { as: named }), /command denied/, "access control");
  for (const user of ["root", "careless"]) {
    assert.match(ask(user, "SELECT 1"), /Access denied/, "no client certificate");
    assert.match(ask(user, "SELECT 1", { as: foreign.certificate("client") }), /ERROR/, "a certificate of another CA");
    assert.match(ask(user, "SELECT 1", { tls: ["--skip-ssl"] }), /ERROR/, "plain text");
    assert.match(
      ask(user, "SELECT 1", { as: client, tls: ["--ssl-verify-server-cert", `--ssl-ca=${foreign.ca}`] }),
      /ERROR/,
      "a client that trusts another CA",
    );
  }
  assert.match(ask("root'", "SELECT 1", { as: client }), /Access denied/);
  assert.equal(
    ask("root", "SELECT User, Host FROM mysql.user ORDER BY 1", { as: client }),
    "careless\t%\nmariadb.sys\tlocalhost\nnamed\t%\nroot\t%\n",
  );
  assert.equal(
    ask("root", "SELECT @@datadir, @@tmpdir", { as: client }),
    "/mariadb/data/\t/mariadb/temporary\n",
    "beside the injected files",
  );
  program.kill("SIGKILL");
  await once(program, "exit");
  const forgetAll = () => {
    for (const name of ["data", "temporary"]) rmSync(join(unpacked.root, "mariadb", name), { recursive: true, force: true });
  };
  forgetAll();

  const broken = await start("CREATE USER intruder;\nCREATE TABLE nowhere (a INT);\nCREATE USER never;");
  if (broken.process.exitCode === null) await once(broken.process, "exit");
  assert.notEqual(broken.process.exitCode, 0, "a script that fails ends the program");
  assert.match(broken.output(), /No database selected/);
  forgetAll();
  const unfinished = await start("CREATE USER never");
  if (unfinished.process.exitCode === null) await once(unfinished.process, "exit");
  assert.match(unfinished.output(), /Nearest query: 'CREATE USER never/, "the last statement has an end, too");
  forgetAll();
  const empty = await start("");
  assert.equal(empty.process.exitCode, null, empty.output());
});
