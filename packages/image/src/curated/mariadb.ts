import { certificateSecrets, NAMESPACE_VARIABLE } from "./certificates.ts";
import type { CuratedImage } from "./curated-image.ts";

/*
 * What runs is the shell of the image with a script of the policy: it makes the system tables and runs the mesh's script in bootstrap mode, without
 * network, and ends with the first statement that fails; only then the server starts, with access control from its first moment. In that mode a
 * statement ends at the end of a line.
 *
 * Everything that MariaDB writes is in memory that only the program's view has: beside the injected files, where a volume of the pod is never shown.
 * A host could mount one at /tmp or /var/tmp and read the database there. Where the runtime is root, the program may make no directory beside
 * injected files; there the runtime lays memory over the whole image.
 */
const START = `set -eu
data=/mariadb/data temporary=/mariadb/temporary
mkdir $data $temporary 2>/dev/null || { data=/var/tmp; temporary=/tmp; }
server="mariadbd --defaults-file=/mariadb/server.cnf --datadir=$data --tmpdir=$temporary --secure-file-priv=$temporary"
tables=/usr/share/mysql
{
  echo "CREATE DATABASE mysql;"
  echo "USE mysql;"
  cat $tables/mysql_system_tables.sql $tables/mysql_performance_tables.sql $tables/maria_add_gis_sp_bootstrap.sql
  cat /mariadb/accounts.sql /mariadb/init.sql
  echo
} | $server --bootstrap
exec $server --init-file=/mariadb/certificates.sql
`;

/** State is lost with the process, so nothing waits for a disk. Host names are not asked for: accounts are told apart by certificates and passwords. */
const SERVER = `[mariadbd]
port = {{database_port}}
socket = /tmp/mariadb.sock
pid_file = /tmp/mariadb.pid
ssl_ca = /tls/ca.crt
ssl_cert = /tls/mariadb.crt
ssl_key = /tls/mariadb.key
tls_version = TLSv1.2,TLSv1.3
require_secure_transport = ON
skip_name_resolve = ON
local_infile = OFF
character_set_server = utf8mb4
collation_server = utf8mb4_general_ci
innodb_log_file_size = 16M
innodb_flush_log_at_trx_commit = 0
innodb_doublewrite = OFF
innodb_use_native_aio = OFF
`;

/** The generated password may hold any printable character: escaped as in JSON it is a string of SQL. The script of the mesh starts without a database. */
const ACCOUNTS = `FLUSH PRIVILEGES;
SET SESSION sql_mode = DEFAULT, default_storage_engine = DEFAULT;
CREATE USER 'root'@'%' IDENTIFIED BY "$$SCONE::MYSQL_ROOT_PASSWORD|escape(json)$$" REQUIRE X509;
GRANT ALL PRIVILEGES ON *.* TO 'root'@'%' WITH GRANT OPTION;
CREATE DATABASE vouchsafe_start;
USE vouchsafe_start;
DROP DATABASE vouchsafe_start;
`;

/** Accounts that the mesh's script made without saying REQUIRE are for clients with a certificate too (2: any certificate of the CA). */
const CERTIFICATES = `UPDATE mysql.global_priv SET Priv = JSON_SET(Priv, '$.ssl_type', 2) WHERE COALESCE(JSON_VALUE(Priv, '$.ssl_type'), 0) < 2 AND User <> 'mariadb.sys' AND COALESCE(JSON_VALUE(Priv, '$.is_role'), 0) = 0;
FLUSH PRIVILEGES;
`;

/** MariaDB with TLS for everybody and certificates of its own CA for every account that exists at its start; state in memory only (MF-110). */
export const mariadb: CuratedImage = {
  name: "mariadb",
  title: "MariaDB",
  packages: ["mariadb-server-core"],
  program: "mariadbd",
  command: ["sh", "/mariadb/start"],
  files: [
    { path: "/mariadb/start", content: START, permission: "0o400" },
    { path: "/mariadb/server.cnf", content: SERVER, permission: "0o400" },
    { path: "/mariadb/accounts.sql", content: ACCOUNTS, permission: "0o400" },
    { path: "/mariadb/init.sql", content: "{{sqlInitScript}}", permission: "0o400" },
    { path: "/mariadb/certificates.sql", content: CERTIFICATES, permission: "0o400" },
    { path: "/tls/mariadb.crt", content: "$$SCONE::MARIADB_SERVER_CERT.crt$$", permission: "0o444" },
    { path: "/tls/mariadb.key", content: "$$SCONE::MARIADB_SERVER_CERT.key$$", permission: "0o400" },
    { path: "/tls/ca.crt", content: "$$SCONE::MARIADB_CA_CERT.crt$$", permission: "0o444" },
  ],
  secrets: `${certificateSecrets({
    authority: { key: "MARIADB_CA_KEY", certificate: "MARIADB_CA_CERT" },
    server: { key: "MARIADB_SERVER_KEY", certificate: "MARIADB_SERVER_CERT", host: "database_host", short: "mariadb" },
    client: { key: "MARIADB_CLIENT_KEY", certificate: "MARIADB_CLIENT_CERT", commonName: "mariadb-client" },
  })}- {name: MYSQL_ROOT_PASSWORD, kind: ascii, size: 32}
`,
  variables: [
    { name: "database_host" },
    { name: "database_port", value: "3306" },
    { name: "sqlInitScript", value: "" },
    NAMESPACE_VARIABLE,
  ],
  values: `replicaCount: 1
workloadKind: statefulset
service:
  port: "{{database_port}}"
readiness:
  mode: launcher
terminationGracePeriodSeconds: 5
persistence:
  enabled: false
`,
};
