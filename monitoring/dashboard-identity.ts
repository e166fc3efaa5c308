/** The dashboard's identity in Grafana; in its own file, so that using it does not load Grafana's library. */
export const DASHBOARD = { uid: "registry-integrity", title: "Registry integrity" } as const;
