import type { Hosts } from "./hosts";

/** What `docker ps` on the VM shows of each container, by its name. @param shown a Go template, such as `{{.ID}}` */
export const containersOf = (hosts: Hosts, shown: string, ...options: readonly string[]): Record<string, string> =>
  Object.fromEntries(
    hosts
      .ssh("vm", `docker ps --no-trunc ${options.join(" ")} --format '{{.Names}} ${shown}'`)
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => [line.split(" ", 1)[0] ?? "", line.slice(line.indexOf(" ") + 1)] as const)
      .sort(),
  );
