/** Name of the otherwise empty Helm release that creates the namespace. */
export const NAMESPACE_RELEASE = "registry-warden-namespace";
