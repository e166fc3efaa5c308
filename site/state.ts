import * as z from "zod";
import { baseUrl, label, matching, record } from "./fields";

const DIRECTORY = 'a relative directory outside cdktf.out, for example "state": cdktf.out may be deleted at any time';

const bucket = z.string({ error: "allowed is the name of a bucket" }).regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, {
  error: "allowed is the name of a bucket",
});

/**
 * Where Terraform stores the state of the stacks. Credentials of a backend come from its environment variables, never
 * from here.
 */
export const state = z.discriminatedUnion(
  "backend",
  [
    /** For a single operator: a folder in the checkout, with a folder for each site and a file for each stack. */
    record({
      backend: z.literal("local"),
      directory: z
        .string({ error: `allowed is ${DIRECTORY}` })
        .regex(/^(?!cdktf\.out(\/|$))[\w-][\w.-]*(\/[\w-][\w.-]*)*$/, { error: `allowed is ${DIRECTORY}` }),
    }),
    /** A Secret for each stack. https://developer.hashicorp.com/terraform/language/backend/kubernetes */
    record({ backend: z.literal("kubernetes"), namespace: label }),
    record({
      backend: z.literal("s3"),
      bucket,
      region: z.string({ error: "allowed is a region" }).regex(/^[a-z0-9-]+$/, { error: "allowed is a region" }),
      /** For a self-hosted S3-compatible store. */
      endpoint: baseUrl(["https", "http"]).optional(),
      /** Prefix of the keys: `<keyPrefix>/<name of the site>/<stack>.tfstate`. Default: none. */
      keyPrefix: matching(
        /^[\w-][\w.-]*(\/[\w-][\w.-]*)*$/,
        'the beginning of a key, for example "terraform"',
      ).optional(),
      /** Whether concurrent runs are prevented by a lock object beside the state; the store must support If-None-Match. */
      lockfile: z.boolean({ error: "allowed is true or false" }).default(true),
    }),
    /** `<address>/<name of the site>/<stack>`, locked with LOCK and UNLOCK. */
    record({ backend: z.literal("http"), address: baseUrl(["https", "http"]) }),
  ],
  { error: 'allowed is the backend "local", "kubernetes", "s3" or "http"' },
);

export type State = z.output<typeof state>;
