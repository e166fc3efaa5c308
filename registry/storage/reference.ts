import type { Descriptor } from "../oci/manifest";
import {
  DOCKER_LIST,
  DOCKER_MANIFEST,
  DOCKER_SCHEMA1,
  DOCKER_SCHEMA1_SIGNED,
  OCI_ARTIFACT_MANIFEST,
  OCI_INDEX,
  OCI_MANIFEST,
} from "../oci/manifest";

const MANIFEST_TYPES: readonly string[] = [
  OCI_INDEX,
  OCI_MANIFEST,
  OCI_ARTIFACT_MANIFEST,
  DOCKER_LIST,
  DOCKER_MANIFEST,
  DOCKER_SCHEMA1,
  DOCKER_SCHEMA1_SIGNED,
];

/**
 * Whether an entry of an index is a manifest. BuildKit's registry cache is an index of layers, which are blobs; without a
 * media type it is a manifest, as the specification has it.
 */
export function namesManifest({ mediaType }: Pick<Descriptor, "mediaType">): boolean {
  return mediaType === undefined || MANIFEST_TYPES.includes(mediaType);
}
