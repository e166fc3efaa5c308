import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Credentials } from "../../../registry/oci/credentials";
import type { RegistryWriter } from "../../../registry/oci/push";
import { type RemoteClients, withRemoteClients } from "../../../registry/remote/clients";
import { readJournal } from "../../../registry/remote/journal";
import type { PackageListing } from "../../../registry/remote/package-listing";
import {
  applyRemotePrune,
  planRemotePrune,
  type RemotePruneOptions,
  type RemotePruneReport,
} from "../../../registry/remote/prune";
import { type RemoteUndoReport, undoRemotePrune } from "../../../registry/remote/undo";
import type { RetentionPolicy } from "../../../site/retention";

/** Clean-ups of one registry over HTTP, with separate journals. */
export class RemoteCleanUps {
  readonly journals = mkdtempSync(join(tmpdir(), "warden-journals-"));
  /** Milliseconds. */
  settle = 0;

  constructor(
    readonly url: URL,
    readonly credentials: Credentials | null = null,
  ) {}

  remove(): void {
    rmSync(this.journals, { recursive: true });
  }

  plan(policy: RetentionPolicy, more: Partial<RemotePruneOptions> = {}): Promise<RemotePruneReport> {
    return this.#with(({ client, listing }) => planRemotePrune(client, { ...this.#scope(policy, listing), ...more }));
  }

  /** @param change for example makes the writer fail */
  apply(
    policy: RetentionPolicy,
    more: Partial<RemotePruneOptions> = {},
    change: (writer: RegistryWriter) => void = () => {},
  ): Promise<RemotePruneReport> {
    return this.#with(({ client, listing, writer }) => {
      change(writer);
      return applyRemotePrune(client, { ...this.#scope(policy, listing), writer, settle: this.settle, ...more });
    });
  }

  undo(journal: string, change: (writer: RegistryWriter) => void = () => {}): Promise<RemoteUndoReport> {
    return this.#with(({ client, writer }) => {
      change(writer);
      return undoRemotePrune(client, writer, journal, readJournal(journal));
    });
  }

  #scope(policy: RetentionPolicy, listing: PackageListing) {
    return { policy, now: Date.now(), listing, journals: this.journals };
  }

  #with<T>(act: (clients: RemoteClients) => Promise<T>): Promise<T> {
    return withRemoteClients({ url: this.url, credentials: this.credentials }, act);
  }
}
