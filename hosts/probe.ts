import { unitOf } from "./systemd-unit";

/** The timer and the service of a probe on the registry host, without the ending. */
export const probeUnit = (name: string): string => unitOf(`probe-${name}`);
