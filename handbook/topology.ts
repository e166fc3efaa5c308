import { imageReference } from "../site/image";
import type { Probe } from "../site/monitoring";
import { containerName } from "../site/registry";
import {
  dnsHosts,
  hasRegistry,
  isExternal,
  isMonitored,
  type MonitoredSite,
  ownPushgateway,
  type ProbedService,
  probedService,
  pushgatewayUrl,
  type Site,
} from "../site/schema";
import { visible } from "../text/markdown";
import { markup } from "../text/markup";
import { GENERATED_PAGE } from "./document";

/** Path of the picture below docs/. */
export const TOPOLOGY = "topology.svg";

interface Box {
  readonly x: number;
  readonly y: number;
  readonly lines: readonly string[];
  readonly kind: "machine" | "service" | "outside" | "deferred";
}

/** Pixels. */
const WIDTH = 340;
const LINE = 18;
const PADDING = 12;
const GAP = 14;
const COLUMN = 440;
const MARGIN = 20;
/** Characters of the longest line that fits a box. */
const LONGEST = 39;

const height = ({ lines }: Pick<Box, "lines">): number => lines.length * LINE + 2 * PADDING;

/** Wraps a text so that it fits a box: breaks it where a name or an address has a separator, and cuts nothing off. */
const wrapped = (text: string): string[] => {
  const characters = [...visible(text)];
  const lines: string[] = [];
  while (characters.length > LONGEST) {
    const joint = characters.slice(0, LONGEST).findLastIndex((character) => " .:/-@,".includes(character));
    lines.push(characters.splice(0, joint > 0 ? joint + 1 : LONGEST).join(""));
  }
  return [...lines, characters.join("")];
};

/** Boxes in a column. */
const column = (index: number, top: number, boxes: readonly Omit<Box, "x" | "y">[]): Box[] => {
  let y = top;
  return boxes.map(({ kind, lines }) => {
    const placed: Box = { kind, lines: lines.flatMap(wrapped), x: MARGIN + index * COLUMN, y };
    y += height(placed) + GAP;
    return placed;
  });
};

const bottom = (boxes: readonly Box[]): number => Math.max(MARGIN, ...boxes.map((box) => box.y + height(box)));

const drawn = (box: Box): string => {
  const text = box.lines.map(
    (line, index) =>
      `<text x="${box.x + PADDING}" y="${box.y + PADDING + LINE * (index + 0.75)}"${index === 0 ? ' class="name"' : ""}>${markup(line)}</text>`,
  );
  return [
    `<rect class="${box.kind}" x="${box.x}" y="${box.y}" width="${WIDTH}" height="${height(box)}" rx="6"/>`,
    ...text,
  ].join("\n");
};

const middle = (box: Box): number => box.y + height(box) / 2;

/** The host's frame around what runs on it, with its name at the top. */
const frame = (title: readonly string[], boxes: readonly Box[]): string => {
  const left = Math.min(...boxes.map(({ x }) => x));
  const top = Math.min(...boxes.map(({ y }) => y)) - title.length * LINE;
  return [
    `<rect class="machine" x="${left - PADDING}" y="${top - PADDING}" width="${WIDTH + 2 * PADDING}" height="${bottom(boxes) - top + 2 * PADDING}" rx="6"/>`,
    ...title.map((line, index) => `<text x="${left}" y="${top + LINE * index + 4}">${markup(line)}</text>`),
  ].join("\n");
};

/** From the right edge of a box to the left edge of one in the next column. */
const arrow = (from: Box | undefined, to: Box | undefined, kind: "first" | "fallback" = "first"): string => {
  if (from === undefined || to === undefined) return "";
  const [start, end] = [from.x + WIDTH, to.x];
  const bend = (start + end) / 2;
  return `<path${kind === "fallback" ? ' class="fallback"' : ""} d="M ${start} ${middle(from)} C ${bend} ${middle(from)}, ${bend} ${middle(to)}, ${end} ${middle(to)}"/>`;
};

const STYLE = `
  text { font: 13px ui-monospace, monospace; fill: #1f2328; }
  .name { font-weight: bold; }
  rect { fill: #ffffff; stroke: #57606a; }
  .machine { fill: #ddf4ff; } .service { fill: #dafbe1; } .outside { fill: #f6f8fa; } .deferred { fill: #ffffff; stroke-dasharray: 6 4; }
  .fallback { stroke-dasharray: 6 4; }
  path { fill: none; stroke: #57606a; marker-end: url(#head); }
  .background { fill: #ffffff; stroke: none; }`;

/** A section of the picture. */
interface Band {
  /** Drawn behind the boxes. */
  readonly frames: readonly string[];
  readonly boxes: readonly Box[];
  readonly arrows: readonly string[];
}

/** What a probe is, and where it reports. */
const probeLines = (site: MonitoredSite, { name, runsOn, periodMinutes }: Probe): string[] => [
  name,
  `${runsOn === "cluster" ? `CronJob in ${site.monitoring.namespace?.name}` : `timer on ${site.registry?.host}`}, every ${periodMinutes} min`,
  `→ ${ownPushgateway(site) === undefined ? new URL(pushgatewayUrl(site)).hostname.split(".", 1)[0] : "registry-pushgateway"}`,
];

/** Probes to the registries, and caches to their upstreams. */
const registries = (site: Site): Band => {
  const own = site.registry?.services ?? [];
  const external = site.monitoring?.externalRegistries ?? [];
  const watching = site.monitoring?.probes ?? [];
  const probes = column(
    0,
    MARGIN,
    isMonitored(site) ? watching.map((probe) => ({ lines: probeLines(site, probe), kind: "outside" })) : [],
  );
  const title = hasRegistry(site)
    ? wrapped(`${site.registry.host}, behind ${imageReference(site.registry.images.nginx)}`)
    : [];
  const services = column(
    1,
    MARGIN + PADDING + title.length * LINE,
    own.map((service) => ({
      lines: [
        containerName(service),
        service.role === "private" ? "private registry" : "pull-through cache",
        `port ${service.port}`,
      ],
      kind: "service",
    })),
  );
  const caches = own.filter((service) => service.role === "proxy");
  const upstreams = column(
    2,
    MARGIN,
    [
      ...caches.map(({ upstream }) => ({ lines: [new URL(upstream).host, "upstream"] })),
      ...external.map(({ name, url }) => ({ lines: [name, new URL(url).host] })),
    ].map((box) => ({ ...box, kind: "outside" })),
  );
  const boxOf = (service: ProbedService): Box | undefined =>
    isExternal(service) ? upstreams[caches.length + external.indexOf(service)] : services[own.indexOf(service)];
  return {
    frames: title.length > 0 ? [frame(title, services)] : [],
    boxes: [...probes, ...services, ...upstreams],
    arrows: [
      ...watching.map((probe, index) => arrow(probes[index], boxOf(probedService(site, probe)))),
      ...caches.map((cache, index) => arrow(boxOf(cache), upstreams[index])),
    ],
  };
};

/** Hosts to the resolvers that they use. */
const names = (site: Site, top: number): Band => {
  const hosts = column(
    0,
    top,
    site.hosts.map((host) => ({
      lines: [
        host.name,
        `${host.title}, ${host.address}`,
        ...(host.deferred === undefined ? [] : ["deferred: nothing is sent to it"]),
      ],
      kind: host.deferred === undefined ? "machine" : "deferred",
    })),
  );
  const addresses = [...new Set(dnsHosts(site).flatMap(({ resolver }) => resolver.nameservers))];
  const resolvers = column(
    1,
    top,
    addresses.map((address) => ({
      lines: [
        address,
        dnsHosts(site).some(({ resolver }) => resolver.nameservers[0] === address)
          ? "primary resolver"
          : "fallback resolver",
      ],
      kind: "outside",
    })),
  );
  return {
    frames: [],
    boxes: [...hosts, ...resolvers],
    arrows: dnsHosts(site).flatMap((host) =>
      host.resolver.nameservers.map((address, index) =>
        arrow(
          hosts[site.hosts.indexOf(host)],
          resolvers[addresses.indexOf(address)],
          index === 0 ? "first" : "fallback",
        ),
      ),
    ),
  };
};

/** A picture of what connects to what. */
export const topology = (site: Site): string => {
  const above = registries(site);
  const below = names(site, above.boxes.length === 0 ? MARGIN : bottom(above.boxes) + 3 * GAP);
  const columns = Math.max(...[...above.boxes, ...below.boxes].map(({ x }) => x)) + WIDTH + MARGIN;
  const rows = bottom([...above.boxes, ...below.boxes]) + MARGIN;
  return `${GENERATED_PAGE}
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${columns} ${rows}" role="img" aria-label="Who talks to whom">
<style>${STYLE}
</style>
<defs><marker id="head" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto"><polygon points="0 0, 8 4, 0 8"/></marker></defs>
<rect class="background" width="${columns}" height="${rows}"/>
${[...above.frames, ...below.frames].join("\n")}
${[...above.arrows, ...below.arrows].join("\n")}
${[...above.boxes, ...below.boxes].map(drawn).join("\n")}
</svg>
`;
};
