import { containerName, PROBE_ACCOUNT, type PrivateService, type Registry, type Service } from "../site/registry";
import { GENERATED_COMMENT } from "./generated";

/** Docker's own DNS server, at the same address in every container of a user-defined network. */
const DOCKER_DNS = "127.0.0.11";

/** The paths of a private registry's certificate and key in the reverse proxy's container. */
export const tlsPaths = (service: Pick<PrivateService, "name">) => ({
  certificate: `/etc/nginx/tls/${containerName(service)}/certificate.pem`,
  key: `/etc/nginx/tls/${containerName(service)}/key.pem`,
});

const indented = (text: string): string => text.replace(/^(?=.)/gm, "  ");

const block = (head: string, ...body: string[]): string => `${head} {\n${indented(body.join("\n"))}\n}`;

/**
 * The name is resolved at run time: a recreated container is found at its new address within two seconds, while connections are
 * still kept alive, and a name that does not resolve (yet) does not prevent nginx from starting.
 * https://nginx.org/en/docs/http/ngx_http_upstream_module.html#resolve (since 1.27.3)
 */
const upstream = (service: Service): string =>
  block(
    `upstream ${containerName(service)}`,
    `zone ${containerName(service)} 64k;`,
    `server ${containerName(service)}:${service.port} resolve;`,
    "keepalive 32;",
  );

/**
 * An empty variable appended to a path makes nginx read the file in each handshake instead of at startup. A certificate that is
 * broken or missing then fails the handshakes on its own port, but does not stop the caches from being served. Without the
 * variable, nginx checks the pair when it loads its configuration, which a delivery does before it installs the files.
 * https://nginx.org/en/docs/http/ngx_http_ssl_module.html#ssl_certificate
 */
export const READ_LATE = "read_late";

/** TLS settings common to all private registries: forward secrecy and authenticated encryption, nothing older. */
const TLS = [
  "ssl_protocols TLSv1.2 TLSv1.3;",
  `ssl_ciphers ${["ECDSA", "RSA"]
    .flatMap((key) => ["AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305"].map((c) => `ECDHE-${key}-${c}`))
    .join(":")};`,
  "# All of them are good: the client knows which is fast for it.",
  "ssl_prefer_server_ciphers off;",
  "ssl_session_cache shared:tls:10m;",
  "ssl_session_timeout 1d;",
  "# Their key would be as old as the process, and with it the past could be read.",
  "ssl_session_tickets off;",
];

/**
 * An htpasswd file has no permissions, so anyone with a password from it could push and delete. The probe's password is stored in
 * one more place than the others, and the probe only ever reads.
 */
const READ_ONLY = [
  'map "$remote_user $request_method" $read_only {',
  '  default "";',
  `  "~^${PROBE_ACCOUNT} (?!(GET|HEAD)$)" yes;`,
  "}",
];

const refuseWrites = [
  "default_type application/json;",
  block("if ($read_only)", `return 403 '{"errors":[{"code":"DENIED","message":"${PROBE_ACCOUNT} may only read"}]}';`),
];

const tls = (service: PrivateService): string[] => {
  const { certificate, key } = tlsPaths(service);
  return [
    `server_name ${service.serverName};`,
    `ssl_certificate ${certificate}$${READ_LATE};`,
    `ssl_certificate_key ${key}$${READ_LATE};`,
  ];
};

/** The temporary files of nginx, all in the only place where its container may write. */
const TEMPORARY = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((kind) => `${kind}_temp_path /tmp/${kind};`);

const server = (service: Service): string =>
  block(
    "server",
    `listen ${service.port}${service.role === "private" ? " ssl" : ""};`,
    ...(service.role === "private" ? [...tls(service), ...refuseWrites] : []),
    block("location /", `proxy_pass http://${containerName(service)};`),
  );

/**
 * The reverse proxy of all registries: one port each, with TLS for the private ones. It caches nothing: a cached blob would be
 * served without credentials and hide its loss in the registry, and a pull-through registry is itself a cache.
 */
export const nginxConfiguration = ({ services }: Registry): string =>
  `${[
    GENERATED_COMMENT,
    "# Root of a container that has no capability: another user could not read the operator's keys, and to become one takes a",
    "# capability.",
    "user root;",
    "worker_processes auto;",
    "error_log stderr warn;",
    "pid /tmp/nginx.pid;",
    "",
    block("events", "worker_connections 1024;"),
    "",
    block(
      "http",
      "access_log /dev/stdout;",
      "server_tokens off;",
      ...TEMPORARY,
      "",
      `resolver ${DOCKER_DNS} valid=2s ipv6=off;`,
      "# Docker passes on a name that it does not know (yet): an answer that does not come must not delay the next question.",
      "resolver_timeout 2s;",
      "",
      "# Layers have any size and pass through unbuffered, in both directions.",
      "client_max_body_size 0;",
      "proxy_request_buffering off;",
      "proxy_buffering off;",
      "proxy_http_version 1.1;",
      "gzip off;",
      ...(services.some(({ role }) => role === "private")
        ? ["", `map "" $${READ_LATE} {`, '  default "";', "}", ...READ_ONLY, ...TLS]
        : []),
      "",
      "# A dead registry fails fast; a long layer may pause.",
      "proxy_connect_timeout 5s;",
      "proxy_read_timeout 900s;",
      "proxy_send_timeout 900s;",
      "",
      "# All at one level, because an inner one would drop the others. The registry builds its Location from Host, with the",
      "# port, and the scheme.",
      'proxy_set_header Connection "";',
      "proxy_set_header Host $http_host;",
      "proxy_set_header X-Forwarded-Proto $scheme;",
      "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;",
      ...services.flatMap((service) => ["", upstream(service), server(service)]),
    ),
  ].join("\n")}\n`;
