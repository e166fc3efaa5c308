import { nginxConfiguration } from "../../hosts/nginx";
import { referenceSite } from "../sites";

const { registry } = referenceSite;
const configuration = nginxConfiguration(registry);
/** The text of each server block, by the first port it listens on. */
const servers = new Map(
  configuration
    .split(/^ {2}server \{$/m)
    .slice(1)
    .map((text) => [Number(/listen (\d+)/.exec(text)?.[1]), text]),
);

test("every published port has a server of its own", () => {
  expect([...servers.keys()]).toEqual([5000, 5010, 5020, 5030, 5040, 5050]);
  for (const { name, port } of registry.services)
    expect(servers.get(port)).toContain(`proxy_pass http://registry-${name};`);
});

test("only the private registry has TLS", () => {
  expect([...servers].filter(([, text]) => text.includes("ssl")).map(([port]) => port)).toEqual([5050]);
  expect(servers.get(5050)).toContain("listen 5050 ssl;");
});

test("nothing is cached: a cached blob is served without credentials, and after the registry has lost it", () => {
  expect(configuration).not.toContain("proxy_cache");
});

test("each upstream is resolved again while nginx runs, and keeps its connections", () => {
  const upstreams = configuration.match(/upstream registry-[^}]*\}/g) ?? [];
  expect(upstreams).toHaveLength(6);
  for (const upstream of upstreams) {
    expect(upstream).toMatch(/server registry-\w+:50\d0 resolve;/);
    expect(upstream).toMatch(/zone registry-\w+ 64k;/);
    expect(upstream).toContain("keepalive 32;");
  }
  expect(configuration).toContain("resolver 127.0.0.11 valid=2s ipv6=off;");
});

test("no two registries listen on one port, so that a stale address never answers for another one", () => {
  const ports = [...configuration.matchAll(/server registry-\w+:(\d+) resolve;/g)].map(([, port]) => port);
  expect(ports).toEqual(registry.services.map(({ port }) => String(port)));
  expect(new Set(ports).size).toBe(ports.length);
});

test.each([
  "client_max_body_size 0;",
  "proxy_request_buffering off;",
  "proxy_buffering off;",
  "proxy_http_version 1.1;",
  'proxy_set_header Connection "";',
  "proxy_set_header Host $http_host;",
  "proxy_set_header X-Forwarded-Proto $scheme;",
  "gzip off;",
])("a push of any size passes through as it is: %s", (directive) => {
  expect(configuration.split("\n")).toContain(`  ${directive}`);
});

test.each(["user root;", "client_body_temp_path /tmp/client_body;", "pid /tmp/nginx.pid;", "server_tokens off;"])(
  "it runs in a container that it cannot write to, without a capability: %s",
  (directive) => {
    expect(configuration).toMatch(new RegExp(`^ *${directive.replaceAll(".", "\\.")}$`, "m"));
  },
);

test("a site without a private registry has no TLS", () => {
  const caches = { ...registry, services: registry.services.filter(({ role }) => role === "proxy") };
  expect(nginxConfiguration(caches)).not.toMatch(/ssl|read_late/);
});

test("headers are set at one level, because a server that sets one drops the others", () => {
  for (const text of servers.values()) expect(text).not.toContain("proxy_set_header");
});

test("whoever has the password of a probe changes nothing, in private registries; a cache knows no accounts", () => {
  expect([...servers].filter(([, text]) => text.includes("if ($read_only)")).map(([port]) => port)).toEqual([5050]);
  expect(configuration).toContain('"~^registry-probe (?!(GET|HEAD)$)" yes;');
});
