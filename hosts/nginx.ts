import { containerName, PROBE_ACCOUNT, type PrivateService, type Registry, type Service } from "../site/registry";
import { GENERATED } from "./generated";

/** Docker's own DNS server, the same in every container of a user-defined network. */
const DOCKER_DNS = "127.0.0.11";

/** Where the reverse proxy finds the certificate and key of a private registry within its container. */
export const tlsPaths = (service: Pick<PrivateService, "name">) => ({
  certificate: `/etc/nginx/tls/${containerName(service)}/certificate.pem`,
  key: `/etc/nginx/tls/${containerName(service)}/key.pem`,
});

const indented = (text: string): string => text.replace(/^(?=.)/gm, "  ");

const block = (head: string, ...body: string[]): string => `${head} {\n${indented(body.join("\n"))}\n}`;

/**
 * The name is resolved while nginx runs: a recreated container is found at its new address within two seconds, its
 * connections are kept alive all the same, and a name that is not there (yet) keeps nothing from starting.
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
 * An empty variable behind a path: nginx then reads the file with each handshake instead of when it starts. A certificate
 * that is broken or missing fails the handshakes of its own port, and keeps no cache from being served. Without the
 * variable nginx checks the pair when it reads its configuration, which a delivery has it do before it is put in place.
 * https://nginx.org/en/docs/http/ngx_http_ssl_module.html#ssl_certificate
 */
export const READ_LATE = "read_late";

/** What of TLS is the same for every private registry: forward secrecy and authenticated encryption, nothing older. */
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
 * An htpasswd file knows no rights, so whoever learns any password of it may push and delete. The probe's is in one more
 * place than the others, and it only ever reads.
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

/** What nginx writes while it serves, all in the one place where its container may write. */
const TEMPORARY = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((kind) => `${kind}_temp_path /tmp/${kind};`);

const server = (service: Service): string =>
  block(
    "server",
    `listen ${service.port}${service.role === "private" ? " ssl" : ""};`,
    ...(service.role === "private" ? [...tls(service), ...refuseWrites] : []),
    block("location /", `proxy_pass http://${containerName(service)};`),
  );

/**
 * The reverse proxy of all registries: a port each, TLS for the private ones. It caches nothing: a cached blob is served without
 * credentials and hides that the registry has lost it, and a pull-through registry is itself the cache.
 */
export const nginxConfiguration = ({ services }: Registry): string =>
  `${[
    GENERATED,
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
