import { certificateSecrets, NAMESPACE_VARIABLE } from "./certificates.ts";
import type { CuratedImage } from "./curated-image.ts";

/*
 * `error_log` is the file that is open already: a path below /proc could not be opened by a program whose process is closed to its own user.
 * Requests are not logged, because their paths may be confidential. The sizes of bodies are for the backend to limit: nothing is kept here.
 */
const CONFIGURATION = `daemon off;
worker_processes 2;
pid /tmp/nginx.pid;
error_log stderr warn;
events {
  worker_connections 1024;
}
http {
  access_log off;
  server_tokens off;
  # Memory, as everything that a program writes.
  client_body_temp_path /tmp/client-bodies;
  proxy_temp_path /tmp/proxy;
  fastcgi_temp_path /tmp/fastcgi;
  scgi_temp_path /tmp/scgi;
  uwsgi_temp_path /tmp/uwsgi;
  map $http_upgrade $connection_upgrade {
    default upgrade;
    "" "";
  }
  server {
    listen {{APP_SERVICE_PORT}} ssl http2;
    server_name {{nginx_server_name}};
    ssl_certificate /tls/nginx.crt;
    ssl_certificate_key /tls/nginx.key;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_session_tickets off;
    client_max_body_size 0;
    location / {
      proxy_pass https://{{nginx_backend_server_name}}:{{nginx_backend_server_port}};
      proxy_ssl_certificate /tls/backend-client.crt;
      proxy_ssl_certificate_key /tls/backend-client.key;
      proxy_ssl_trusted_certificate /tls/backend-ca.crt;
      proxy_ssl_verify on;
      proxy_ssl_verify_depth 3;
      proxy_ssl_name {{nginx_backend_server_name}};
      proxy_ssl_server_name on;
      proxy_ssl_protocols TLSv1.2 TLSv1.3;
      proxy_http_version 1.1;
      proxy_request_buffering off;
      proxy_max_temp_file_size 0;
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto https;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
    }
  }
}
`;

/** nginx as a reverse proxy: TLS towards clients, mutual TLS with a check of the name towards one backend of the mesh (MF-110). */
export const nginx: CuratedImage = {
  name: "nginx",
  title: "nginx",
  packages: ["nginx"],
  program: "nginx",
  command: ["nginx", "-e", "stderr", "-c", "/nginx/nginx.conf"],
  files: [
    { path: "/nginx/nginx.conf", content: CONFIGURATION, permission: "0o444" },
    { path: "/tls/nginx.crt", content: "$$SCONE::NGINX_SERVER_CERT.crt$$", permission: "0o444" },
    { path: "/tls/nginx.key", content: "$$SCONE::NGINX_SERVER_CERT.key$$", permission: "0o400" },
    { path: "/tls/backend-client.crt", content: "$$SCONE::{{NGINX_BACKEND_CLIENT_CERT}}.crt$$", permission: "0o444" },
    { path: "/tls/backend-client.key", content: "$$SCONE::{{NGINX_BACKEND_CLIENT_CERT}}.key$$", permission: "0o400" },
    { path: "/tls/backend-ca.crt", content: "$$SCONE::{{NGINX_BACKEND_CA_CERT}}.chain$$", permission: "0o444" },
  ],
  secrets: `${certificateSecrets({
    authority: { key: "NGINX_SERVER_CA_KEY", certificate: "NGINX_SERVER_CA_CERT" },
    isPublic: true,
    server: { key: "NGINX_SERVER_KEY", certificate: "NGINX_SERVER_CERT", host: "nginx_server_name", short: "nginx" },
  })}- {name: "{{NGINX_BACKEND_CLIENT_CERT}}", import: {}}
- {name: "{{NGINX_BACKEND_CA_CERT}}", import: {}}
`,
  variables: [
    { name: "nginx_server_name" },
    // The port of the Service, as of every service that users reach (MF-120).
    { name: "APP_SERVICE_PORT", value: "8443" },
    { name: "nginx_backend_server_name" },
    { name: "nginx_backend_server_port" },
    { name: "NGINX_BACKEND_CLIENT_CERT" },
    { name: "NGINX_BACKEND_CA_CERT" },
    { name: "nginx_initContainers_enabled", value: "true" },
    // Decides alone whether the pod waits: the chart adds no wait of its own (MF-125).
    { name: "INIT_CONTAINER1_ENABLE", value: "{{nginx_initContainers_enabled}}" },
    NAMESPACE_VARIABLE,
  ],
  values: `readiness:
  mode: tcp
  port: "{{APP_SERVICE_PORT}}"
terminationGracePeriodSeconds: 5
initContainers:
  container1:
    enabled: "{{INIT_CONTAINER1_ENABLE}}"
    host: "{{nginx_backend_server_name}}"
    port: "{{nginx_backend_server_port}}"
`,
};
