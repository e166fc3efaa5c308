import { DEFAULT_CONCURRENCY, RegistryClient } from "../oci/client";
import { Gate } from "../oci/gate";
import { RegistryWriter, type WriterOptions } from "../oci/push";
import { PackageListing } from "./package-listing";

/** What reads, changes and lists one registry for a clean-up over HTTP. */
export interface RemoteClients {
  client: RegistryClient;
  writer: RegistryWriter;
  listing: PackageListing;
}

/** Opens the clients of a clean-up over HTTP, with one rate for all of them, and closes them afterwards. */
export const withRemoteClients = async <T>(
  { rate, ...options }: WriterOptions,
  act: (clients: RemoteClients) => Promise<T>,
): Promise<T> => {
  const access = { ...options, gate: new Gate({ concurrency: DEFAULT_CONCURRENCY, rate }) };
  const clients: RemoteClients = {
    client: new RegistryClient(access),
    writer: new RegistryWriter(access),
    listing: new PackageListing(access),
  };
  try {
    return await act(clients);
  } finally {
    await Promise.all(Object.values(clients).map((each) => each.close()));
  }
};
