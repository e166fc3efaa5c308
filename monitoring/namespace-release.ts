/** Name of the Helm release that makes the namespace, and holds nothing. */
export const NAMESPACE_RELEASE = "registry-warden-namespace";
