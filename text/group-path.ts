/** A label value that would change the path, or disappear from it, is sent in URL-safe base64. */
const segment = (name: string, value: string): string => {
  if (value === "") return `${name}@base64/=`;
  if (value.includes("/") || value === "." || value === "..") {
    return `${name}@base64/${Buffer.from(value, "utf8").toString("base64url")}`;
  }
  return `${name}/${encodeURIComponent(value)}`;
};

/**
 * The group that a Pushgateway stores under these labels, as the end of its URL: https://github.com/prometheus/pushgateway#url
 *
 * @param labels in order, the job first; labels without a value are left out
 */
export const groupPath = (labels: Readonly<Record<string, string | undefined>>): string =>
  [
    "metrics",
    ...Object.entries(labels).flatMap(([name, value]) => (value === undefined ? [] : [segment(name, value)])),
  ].join("/");
