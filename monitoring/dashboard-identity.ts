/** What Grafana knows the dashboard by: apart, because whoever only names it needs nothing of Grafana's library. */
export const DASHBOARD = { uid: "registry-integrity", title: "Registry integrity" } as const;
