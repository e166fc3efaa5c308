import { hasResolver, type ManagedHost, type ResolvedResolver } from "../site/host";
import { registryPaths } from "../site/registry";
import { hasDns, type RegistrySite, registryHost, runsRegistry, type Site } from "../site/schema";
import { composeFile, servicesUp } from "./compose";
import { type Delivery, digest } from "./delivery";
import type { Finding } from "./finding";
import { maintenanceTasks } from "./maintenance";
import { registryDelivery } from "./registry";
import { dnsDelivery } from "./resolver";
import { quote } from "./shell";
import { unitOf } from "./systemd-unit";

/** One thing to look at on a host. */
export interface Look {
  readonly what: string;
  readonly expected: string;
  /** A shell command that prints how it is, and changes nothing. */
  readonly command: string;
}

const ABSENT = "absent";

const printed = (text: string): string => `printf '%s' ${quote(text)}`;

/** The text that a command prints, without the line feed at its end. */
const trimmed = (command: string): string => `printf '%s' "$(${command})"`;

/** What is absent is one finding of its own: the others about it find nothing wrong. */
const unlessAbsent = (exists: string, expected: string, command: string): string =>
  `if ${exists}; then ${command}; else ${printed(expected)}; fi`;

const files = ({ files, links }: Delivery): Look[] => [
  ...files.flatMap(({ path, mode, content, shown }): Look[] => {
    const exists = `[ -f ${quote(path)} ]`;
    const expected = `${mode.replace(/^0+/, "")} root:root`;
    const read =
      shown === "digest"
        ? `printf 'sha256:%s' "$(sha256sum <${quote(path)} | cut -d ' ' -f 1)"`
        : `cat -- ${quote(path)}`;
    return [
      {
        what: path,
        expected: shown === "digest" ? digest(content) : content,
        command: `if ${exists}; then ${read}; else ${printed(ABSENT)}; fi`,
      },
      {
        what: `mode and owner of ${path}`,
        expected,
        command: unlessAbsent(exists, expected, trimmed(`stat -c '%a %U:%G' -- ${quote(path)}`)),
      },
    ];
  }),
  ...links.map(
    ({ path, target }): Look => ({
      what: path,
      expected: `link to ${target}`,
      command: `if [ -L ${quote(path)} ]; then printf 'link to %s' "$(readlink -- ${quote(path)})"; elif [ -e ${quote(path)} ]; then printf 'no link'; else ${printed(ABSENT)}; fi`,
    }),
  ),
];

/** Sets `path` to that of the interface in netplan's tree: its key may be of any kind of device. */
const findPath = (key: string): string =>
  `for kind in ethernets bonds bridges vlans wifis dummy-devices; do path=$kind.${quote(key.replaceAll(".", "\\."))}; [ "$(netplan get "$path")" = null ] || break; done`;

/** Sets `link` to the device, which a set-name may call otherwise than its key. */
const findLink = (key: string): string =>
  `${findPath(key)}; link=$(netplan get "$path.set-name" | tr -d '"'); [ "$link" != null ] || link=${quote(key)}`;

const WITHOUT_LABEL = "sed 's/^[^:]*: *//'";
const GLOBAL = "sed -n 's/^Global: *//p'";
const SORTED = "tr ' ' '\\n' | sort | paste -sd ' '";

/** Whether netplan quotes what it prints depends on its version. */
const resolved = ({ nameservers, search, netplan }: ResolvedResolver): Look[] => [
  {
    what: `nameservers of ${netplan.interface} in ${netplan.file}`,
    expected: ["addresses:", ...nameservers.map((address) => `- ${address}`), ""].join("\n"),
    command: `${findPath(netplan.interface)}; printf '%s\n' "$(netplan get "$path.nameservers" | tr -d '"')"`,
  },
  {
    what: `servers of ${netplan.interface} in systemd-resolved`,
    expected: nameservers.join(" "),
    command: `${findLink(netplan.interface)}; ${trimmed(`resolvectl dns "$link" | ${WITHOUT_LABEL}`)}`,
  },
  {
    what: `search domains of ${netplan.interface} in systemd-resolved`,
    expected: "",
    command: `${findLink(netplan.interface)}; ${trimmed(`resolvectl domain "$link" | ${WITHOUT_LABEL}`)}`,
  },
  {
    what: "servers of systemd-resolved",
    expected: nameservers[0],
    command: trimmed(`resolvectl dns | ${GLOBAL}`),
  },
  {
    what: "search domains of systemd-resolved",
    expected: search.toSorted().join(" "),
    command: trimmed(`resolvectl domain | ${GLOBAL} | ${SORTED}`),
  },
];

/**
 * What is looked at of a container: NAME SERVICE FILE PROJECT. Compose labels each with a digest of its definition. A
 * cache that keeps ending is as delivered: its upstream is down. An engine that hangs is no reason to wait for ever.
 */
const CONTAINER = `
docker() { timeout 30 docker "$@"; }
container() {
  local image id state digest now definition="that of $3"
  IFS='|' read -r image id state digest < <(
    docker inspect --format '{{ .Config.Image }}|{{ .Image }}|{{ .State.Status }}|{{ index .Config.Labels "com.docker.compose.config-hash" }}' "$1"
  )
  [ -n "$image" ] || { printf ${ABSENT}; return; }
  now=$(docker image inspect --format '{{ .Id }}' "$image")
  [ -z "$now" ] || [ "$now" = "$id" ] || image="$image, before that name got another image"
  [ "$digest" = "$(docker compose --project-name "$4" --file "$3" config --hash "$2" | cut -d ' ' -f 2)" ] || definition=another
  printf 'image %s\nstate %s\ndefinition %s\n' "$image" "\${state/restarting/running}" "$definition"
}`;

const containers = (site: RegistrySite): Look[] => {
  const { registry } = site;
  const file = registryPaths(registry.directory).compose;
  const services = Object.entries(servicesUp(composeFile(registry, registryHost(site).title)));
  const names = services.map(([, { container_name: name }]) => name);
  return [
    ...services.map(
      ([service, { container_name: name, image }]): Look => ({
        what: `container ${name}`,
        expected: `image ${image}\nstate running\ndefinition that of ${file}\n`,
        command: ["container", ...[name, service, file, registry.project].map(quote)].join(" "),
      }),
    ),
    {
      what: `containers of compose project ${registry.project}`,
      expected: names.toSorted().join(" "),
      command: trimmed(
        `docker ps --all --filter label=com.docker.compose.project=${quote(registry.project)} --filter label=com.docker.compose.oneoff=False --format '{{ .Names }}' | sort | paste -sd ' '`,
      ),
    },
  ];
};

const timers = (site: RegistrySite): Look[] => {
  const { maintenance } = site.registry;
  const tasks = maintenance === undefined ? [] : maintenanceTasks(maintenance);
  return [
    {
      what: "timers of the maintenance",
      expected: tasks
        .map(({ task }) => `${unitOf(task)}.timer`)
        .sort()
        .join(" "),
      command: trimmed(
        `systemctl list-units --plain --no-legend --state=active ${quote(`${unitOf("*")}.timer`)} | cut -d ' ' -f 1 | sort | paste -sd ' '`,
      ),
    },
  ];
};

/** Everything that is managed of a host. */
export const looksAt = (site: Site, host: ManagedHost): Look[] => [
  ...(hasDns(site) && hasResolver(host) ? files(dnsDelivery(site, host)) : []),
  ...(host.resolver?.kind === "systemd-resolved" ? resolved(host.resolver) : []),
  ...(runsRegistry(site, host) ? [...files(registryDelivery(site)), ...containers(site), ...timers(site)] : []),
];

/** A script that prints one line for each, in base64; it only reads. */
export const lookScript = (looks: readonly Look[]): string =>
  [
    "set -o pipefail",
    "export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    CONTAINER,
    ...looks.map(({ command }) => `{ ${command}; } 2>/dev/null </dev/null | base64 -w 0; echo`),
    "",
  ].join("\n");

/** What is not as expected, by what the script printed; undefined where it did not come to its end. */
export const findingsOf = (looks: readonly Look[], printed: string): Finding[] | undefined => {
  const lines = printed.split("\n");
  if (lines.length !== looks.length + 1) return undefined;
  return looks.flatMap(({ what, expected }, index) => {
    const actual = Buffer.from(lines[index] ?? "", "base64").toString("utf8");
    return actual === expected ? [] : [{ what, expected, actual: actual === "" ? "nothing" : actual }];
  });
};
