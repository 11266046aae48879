/** Policies of the shapes that users bring along: servers, databases, shields, boards. Each in our own words; each must work as it is. */
import { generateKeyPairSync } from "node:crypto";
import { A, B, KEY, TAG } from "./documents.ts";

const pem = (type: "ed25519" | "ec") =>
  (type === "ed25519" ? generateKeyPairSync("ed25519") : generateKeyPairSync("ec", { namedCurve: "P-384" })).publicKey
    .export({ type: "spki", format: "pem" })
    .toString()
    .trimEnd()
    .replaceAll("\n", "\n          ");

const DEVELOPMENT = `security:
  attestation:
    tolerate: [debug-mode, hyperthreading, insecure-igpu, outdated-tcb, software-hardening-needed]
    ignore_advisories: "*"
`;

export interface Tutorial {
  readonly what: string;
  readonly text: string;
  /** Rules of the warnings that a user is meant to see. */
  readonly warnings?: readonly string[];
}

export const TUTORIALS: readonly Tutorial[] = [
  {
    what: "hello world in Python, with its measurement from a variable",
    text: `
name: greeting-7781
version: "0.3"
predecessor: ~
services:
   - name: application
     image_name: application_image
     mrenclaves: [ "${A}", "${B}" ]
     command: /usr/local/bin/python /app/greet.py
     pwd: /
     environment:
        GREETING: good morning!!!!
        RETRIES: 3
        VERBOSE: true
images:
   - name: application_image
${DEVELOPMENT}`,
  },
  {
    what: "a web server whose certificate, key and CA are files, and whose configuration is a template",
    text: `
name: web
version: "0.3.11"
services:
  - name: nginx
    image_name: registry.example/web/nginx:1.27
    attestation: [{mrenclave: ${A}}]
    command: nginx -g 'daemon off;' -c /etc/nginx/nginx.conf
    pwd: /
images:
  - name: registry.example/web/nginx:1.27
    injection_files:
      - {path: /etc/nginx/tls/server.crt, content: "$$SCONE::SERVER_CERT:crt$$$$SCONE::SERVER_CERT:chain$$", permission: 0o444}
      - {path: /etc/nginx/tls/server.key, content: "$$SCONE::SERVER_CERT:privatekey$$", permission: "0o400"}
      - /etc/nginx/conf.d/upstream.conf
      - path: /etc/nginx/nginx.conf
        content: |
          events {}
          http {
            map \\$http_upgrade \\$connection { default upgrade; '' close; }
            server {
              listen 443 ssl;
              ssl_certificate /etc/nginx/tls/server.crt;
              proxy_set_header X-Token "$$SCONE::token$$";
            }
          }
    provide_secrets: [token]
secrets:
  - {name: CA_KEY, kind: private-key, key_type: P-384, migrate: true}
  - {name: CA_CERT, kind: x509-ca, private_key: CA_KEY, valid_for: 3560d, export_public: true}
  - {name: SERVER_KEY, kind: private-key, key_type: P-384, migrate: false}
  - {name: SERVER_CERT, kind: x509, endpoint: server, private_key: SERVER_KEY, issuer: CA_CERT, dns: [www.example.org, example.org]}
  - {name: token, kind: ascii, size: 32}
`,
  },
  {
    what: "a database behind the network shield, which asks clients for certificates",
    text: `
name: db
version: "0.3.12"
services:
  - name: mariadb
    attestation: [{mrenclave: ${A}}]
    command: [mariadbd, --user=mysql, --datadir=/var/lib/mysql, "--ssl-ca=/tls/ca.pem"]
    pwd: /
    environment:
      SCONE_NETWORK_SHIELD: protected
      SCONE_NETWORK_SHIELD_SERVER_mysql: protected
      SCONE_NETWORK_SHIELD_SERVER_mysql_PORT: TCP:3306
      SCONE_NETWORK_SHIELD_SERVER_mysql_IDENTITY: "$$SCONE::server:privatekey$$$$SCONE::server:crt$$$$SCONE::server:chain$$"
      SCONE_NETWORK_SHIELD_SERVER_mysql_CLIENT_AUTH: "$$SCONE::mesh_ca:crt$$"
      MARIADB_ROOT_PASSWORD: "$$SCONE::root_password$$"
    image_name: db
images:
  - name: db
    volumes: [{name: data, path: /var/lib/mysql}]
volumes:
  - name: data
secrets:
  - {name: root_password, kind: ascii}
  - {name: mesh_ca_key, kind: private-key, migrate: true}
  - {name: mesh_ca, kind: x509-ca, private_key: mesh_ca_key, export: [{session: db/app}]}
  - {name: server_key, kind: private-key}
  - {name: server, kind: x509, private_key: server_key, issuer: mesh_ca, endpoint: server, dns: [mysql, mysql.prod.svc]}
  - {name: client_key, kind: private-key, export: [{session: db/app}]}
  - {name: client, kind: x509, private_key: client_key, issuer: mesh_ca, endpoint: client, san: ["dns:client"], export: [{session: db/app}]}
`,
  },
  {
    what: "its client, with hyphens and digits in the names of its connections",
    text: `
name: db/app
version: "0.3.12"
services:
  - name: app
    attestation: [{mrenclave: ${A}}]
    command: client-server
    pwd: /
    environment:
      SCONE_NETWORK_SHIELD: unprotected
      SCONE_NETWORK_SHIELD_CLIENT_client-server-9000: protected
      SCONE_NETWORK_SHIELD_CLIENT_client-server-9000_DESTINATION: TCP:mysql.prod.svc:3306
      SCONE_NETWORK_SHIELD_CLIENT_client-server-9000_DESTINATION_IP: "*"
      SCONE_NETWORK_SHIELD_CLIENT_client-server-9000_IDENTITY: "$$SCONE::client:privatekey$$$$SCONE::client:crt$$"
      SCONE_NETWORK_SHIELD_CLIENT_client-server-9000_SERVER_AUTH: "$$SCONE::mesh_ca:crt$$"
secrets:
  - {name: mesh_ca, kind: x509-ca, import: {session: .., secret: mesh_ca}}
  - {name: client, kind: x509, import: {session: db, secret: client}}
`,
  },
  {
    what: "a cache that takes its certificates on the command line",
    text: `
name: cache
version: "0.3"
services:
  - name: memcached
    image_name: memcached_image
    mrenclaves: [${A}]
    command: memcached -u nobody -l 0.0.0.0 -Z -o ssl_chain_cert=/tls/server.crt,ssl_key=/tls/server.key,ssl_verify_mode=2,ssl_ca_cert=/tls/ca.crt
    pwd: /
images:
  - name: memcached_image
    injection_files:
      - {path: /tls/server.crt, content: $$SCONE::memcached.crt$$}
      - {path: /tls/server.key, content: $$SCONE::memcached.key$$}
      - {path: /tls/ca.crt, content: $$SCONE::memcached_ca:crt$$}
secrets:
  - {name: k, kind: private-key}
  - {name: ca_k, kind: private-key}
  - {name: memcached_ca, kind: x509-ca, private_key: ca_k}
  - {name: memcached, kind: x509, private_key: k, issuer: memcached_ca, dns: memcached}
${DEVELOPMENT}`,
    warnings: ["SL-116"],
  },
  {
    what: "a Java service with many arguments, a key store and a configuration file of its own",
    text: `
name: java-args
version: "0.3.9"
services:
  - name: java
    attestation: {mrenclave: ${A}, signer: {mrsigner: ${B}, isvprodid: 41316, isvsvn_min: 5}}
    command:
      - /usr/lib/jvm/java-17/bin/java
      - -Xmx512m
      - -Djavax.net.ssl.keyStore=/tls/store.p12
      - -cp
      - /app/lib/*:/app/app.jar
      - org.example.Main
      - --greeting
      - "good morning, 'world'"
    pwd: /app
    environment: {API_USER: "$$SCONE::user$$", API_PASSWORD: "$$SCONE::password$$", LANG: C.UTF-8}
    image_name: java
images:
  - name: java
    injection_files:
      - {path: /tls/store.p12, content: "$$SCONE::tls:pkcs12-with-private-key$$"}
      - path: /app/.env
        content: |
          USER=$$SCONE::user$$
          PASSWORD="$$SCONE::password|escape(json)$$"
secrets:
  - {name: user, kind: ascii, value: myself}
  - {name: password, kind: ascii, size: 10}
  - {name: k, kind: private-key, key_type: RSA-3072}
  - {name: tls, kind: x509, private_key: k, dns: java}
`,
  },
  {
    what: "a document database that is initialised by a script with quotes in quotes",
    text: `
name: mongodb
version: "0.3"
services:
  - name: setup
    attestation: [{mrenclave: ${A}}]
    command: [/usr/bin/mongo, --port, "27017", --eval, "db = db.getSiblingDB('admin'); db.createUser({ user: 'admin', pwd: '$$SCONE::db_password$$', roles: [{ role: 'userAdminAnyDatabase', db: 'admin' }] });"]
    pwd: /home
  - name: auth
    attestation: [{mrenclave: ${A}}]
    command: mongod --auth --port 27017 --dbpath /data/db --tlsMode requireTLS --tlsCertificateKeyFile /tls/server.pem
    pwd: /home
    image_name: mongo
images:
  - name: mongo
    volumes: [{name: data, path: /data}]
    injection_files: [{path: /tls/server.pem, content: "$$SCONE::cert$$$$SCONE::cert:privatekey$$"}]
volumes: [{name: data, files: encrypted}]
secrets:
  - {name: db_password, kind: binary, size: 24, export: [{session: mongodb/app}]}
  - {name: k, kind: private-key}
  - {name: cert, kind: x509, private_key: k, san: ["dns:mongodb", "ip:10.0.0.5"]}
`.replace("$$SCONE::db_password$$", () => "$$SCONE::db_password:base64url$$"),
  },
  {
    what: "three owners: a data set, an application and a worker that gets both keys",
    text: `
name: worker-77
version: "0.3.10"
services:
  - name: executor
    image_name: app
    mrenclaves: [${A}]
    command: python /app/execute.py
    pwd: /
    environment:
      DATASET_KEY: "$$SCONE::DATASET_KEY$$"
      RESULT_URL: https://storage.example/upload?token=$$SCONE::upload_token$$&kind=result
    fspf_path: /fspf.pb
    fspf_key: "$$SCONE::APP_KEY$$"
    fspf_tag: ${TAG}
images: [{name: app}]
secrets:
  - {name: DATASET_KEY, kind: ascii, import: {session: dataset-0x1234, secret: DATASET_KEY}}
  - {name: APP_KEY, kind: binary, import: {session: application-0xabcd, secret: KEY, session_hash: ${B}}}
  - {name: upload_token, kind: ascii, size: 40}
${DEVELOPMENT}`,
  },
  {
    what: "a service for development that anybody may start, with a volume for another session",
    text: `
name: otp
version: "0.3"
services:
  - name: qr
    image_name: qr_image
    command: qr --once
    environment: {OTP_SECRET: "$$SCONE::otp_secret:base32nopad$$", OTP_OUTPUT_FILE: /root/qrcode.svg}
    pwd: "/root"
volumes:
  - name: single_run_1
    export:
      - session: otp-2
images:
  - name: qr_image
    volumes: [{name: single_run_1, path: /root/single_run}]
secrets:
  - {name: otp_secret, kind: binary, size: 20, export: [{session: otp/next}]}
access_policy:
  read: [CREATOR]
  update: [CREATOR]
  create_sessions: [CREATOR]
security:
  attestation:
    mode: none
`,
    warnings: ["SL-88"],
  },
  {
    what: "a key manager that publishes its CA and is reached under the session's own name",
    text: `
name: kme
version: "0.3"
services:
  - name: certificates
    image_name: kme_image
    mrenclaves: [${A}]
    command: python3 key_manager.py
    environment:
      TCF_HOME: "/project/avalon"
      LD_LIBRARY_PATH: "/project/ssl/lib/:/project/ffi/lib"
      WORKER_FS_KEY: "$$SCONE::worker_key:hex$$"
    pwd: /project/avalon
    fspf_tag: ${TAG}
    fspf_key: ${B}
    fspf_path: /project/fs.fspf
secrets:
  - {name: worker_key, kind: binary, size: 32}
  - {name: api_ca_key, kind: private-key}
  - {name: api_ca_cert, kind: x509-ca, export_public: true, private_key: api_ca_key}
  - {name: kme_key, kind: private-key}
  - {name: kme, kind: x509, private_key: kme_key, issuer: api_ca_cert, dns: [kme]}
images:
  - name: kme_image
    injection_files:
      - {path: /project/avalon/cert.pem, content: $$SCONE::kme.crt$$}
      - {path: /project/avalon/key.pem, content: $$SCONE::kme.key$$}
access_policy: {read: [CREATOR], update: [CREATOR]}
${DEVELOPMENT}`,
    warnings: ["SL-116", "SL-135"],
  },
  {
    what: "a board of which two must agree, one of them from the security group",
    text: `
name: company/production
version: "0.3.12"
salt: ${TAG}
access_policy:
  read: [${KEY}]
  update:
    - require-all:
        - require-at-least-1:
            - signer: |
                PEM1
            - signer: |
                PEM2
        - require-at-least-2:
            - signer: |
                PEM3
            - signer: |
                PEM4
            - signer: |
                PEM5
  create_sessions: NONE
services: [{name: api, command: api, pwd: /, attestation: [{signer: {mrsigner: ${B}, isvprodid: 7, isvsvn: 3}}]}]
`.replace(
      / {10}( *)PEM(\d)/g,
      (_, indent, which) =>
        `          ${indent}${pem(Number(which) % 2 === 0 ? "ec" : "ed25519").replaceAll("\n          ", `\n          ${indent}`)}`,
    ),
  },
  {
    what: "a workload that proves who it is to others: tokens, an OpenPGP key, a public key",
    text: `
name: identity
version: "0.3.12"
services:
  - name: api
    attestation: [{mrenclave: ${A}}]
    command: [api, "@@1", --token, "$$SCONE::token$$"]
    pwd: /
    environment: {"@@REGION": "", PUBLIC: "$$SCONE::signing_public$$"}
    image_name: api
images:
  - name: api
    injection_files:
      - {path: /pgp/key.asc, content: "$$SCONE::pgp:privatekey:asciiarmored$$"}
      - {path: /pgp/key.bin, content: "$$SCONE::pgp:privatekey:binary$$"}
secrets:
  - {name: signing, kind: private-key, key_type: P-384}
  - {name: signing_public, kind: public-key, private_key: signing, export_public: true}
  - name: token
    kind: jwt
    signer: signing
    alg: ES384
    validity: {for: 1h}
    payload: {sub: "$$SCONE::self::software_identity$$", role: writer}
  - {name: pgp, kind: pgp-key}
`,
  },
];
