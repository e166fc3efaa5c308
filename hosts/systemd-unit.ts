import { GENERATED_COMMENT } from "./generated";
/**
 * One argument of a command line in a unit; it may contain anything except control characters.
 *
 * Source: systemd.service(5) "Command lines", systemd.unit(5) "Specifiers"
 */
export const unitArgument = (text: string): string =>
  `"${text
    .replace(/[\\"]/g, (character) => `\\${character}`)
    .replaceAll("%", "%%")
    .replaceAll("$", () => "$$")}"`;

/** The service that starts a compose project at boot and stops it in time at shutdown. */
export const composeUnit = (composeFile: string): string => {
  const compose = `/usr/bin/env docker compose --file ${unitArgument(composeFile)}`;
  return `${GENERATED_COMMENT}
[Unit]
Description=Docker registries and their reverse proxy
Requires=docker.service
After=docker.service network-online.target
Wants=network-online.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=${compose} up --detach --remove-orphans
ExecStop=${compose} stop
TimeoutStartSec=300

[Install]
WantedBy=multi-user.target
`;
};

export const UNITS = "/etc/systemd/system";

/** Prefix of the names of the maintenance units. */
export const MAINTENANCE_UNIT = "registry-maintenance";

/** A maintenance task: a service started by its timer. */
export interface TaskUnit {
  readonly task: string;
  /** A sentence without its subject: "Cleans up …". */
  readonly description: string;
  /** systemd.time(7) "Calendar events". */
  readonly onCalendar: readonly string[];
}

export const unitOf = (task: string): string => `${MAINTENANCE_UNIT}-${task}`;

/**
 * @param program path of the maintenance's program
 * @param after the unit that starts the registries
 */
export const taskService = ({ task, description }: TaskUnit, program: string, after: string): string => {
  const run = `/usr/bin/env bash ${unitArgument(program)}`;
  return `${GENERATED_COMMENT}
[Unit]
Description=${description}
Wants=network-online.target
After=network-online.target docker.service ${after}

[Service]
Type=oneshot
ExecStart=${run} ${task}
# However it ended, kill -9 included: what was taken out of service comes back.
ExecStopPost=${run} restore ${task}
TimeoutStartSec=12h
TimeoutStopSec=10min
SyslogIdentifier=registry-maintenance
`;
};

/** A run that was missed while the host was off is made up for. */
export const taskTimer = ({ description, onCalendar }: TaskUnit): string => `${GENERATED_COMMENT}
[Unit]
Description=${description}, by the clock

[Timer]
${onCalendar.map((moment) => `OnCalendar=${moment}\n`).join("")}Persistent=true
AccuracySec=1s

[Install]
WantedBy=timers.target
`;

/** Prefix of the names of the units that monitor a host. */
export const WATCH_UNIT = "registry-watch";

/** @param program path of the program that checks the host and reports */
export const watchService = (program: string): string => `${GENERATED_COMMENT}
[Unit]
Description=Reports whether this host is as delivered and its resolvers answer
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
ExecStart=/usr/bin/env bash ${unitArgument(program)}
TimeoutStartSec=5min
`;

/** @param minutes between two checks; spread so that hosts do not all report at once */
export const watchTimer = (minutes: number): string => `${GENERATED_COMMENT}
[Unit]
Description=Looks at this host every ${minutes} minutes

[Timer]
OnBootSec=2min
OnActiveSec=90s
OnUnitActiveSec=${minutes}min
RandomizedDelaySec=20s

[Install]
WantedBy=timers.target
`;
