import * as z from "zod";
import { baseUrl, label, matching, record } from "./fields";

const DIRECTORY = 'a relative directory outside cdktf.out, for example "state": cdktf.out may be deleted at any time';

const bucket = z.string({ error: "allowed is the name of a bucket" }).regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, {
  error: "allowed is the name of a bucket",
});

/**
 * Where Terraform keeps the state of the stacks. Credentials of a backend come from its environment variables, never
 * from here.
 */
export const state = z.discriminatedUnion(
  "backend",
  [
    /** One operator: a directory of the checkout, in it one for each site, one file a stack. */
    record({
      backend: z.literal("local"),
      directory: z
        .string({ error: `allowed is ${DIRECTORY}` })
        .regex(/^(?!cdktf\.out(\/|$))[\w-][\w.-]*(\/[\w-][\w.-]*)*$/, { error: `allowed is ${DIRECTORY}` }),
    }),
    /** A Secret a stack. https://developer.hashicorp.com/terraform/language/backend/kubernetes */
    record({ backend: z.literal("kubernetes"), namespace: label }),
    record({
      backend: z.literal("s3"),
      bucket,
      region: z.string({ error: "allowed is a region" }).regex(/^[a-z0-9-]+$/, { error: "allowed is a region" }),
      /** Of a self-hosted store that speaks S3. */
      endpoint: baseUrl(["https", "http"]).optional(),
      /** What the keys begin with: `<keyPrefix>/<name of the site>/<stack>.tfstate`. Default: nothing. */
      keyPrefix: matching(
        /^[\w-][\w.-]*(\/[\w-][\w.-]*)*$/,
        'the beginning of a key, for example "terraform"',
      ).optional(),
      /** Whether two at once are kept apart by an object beside the state, which not every store can write: it needs If-None-Match. */
      lockfile: z.boolean({ error: "allowed is true or false" }).default(true),
    }),
    /** `<address>/<name of the site>/<stack>`, locked with LOCK and UNLOCK. */
    record({ backend: z.literal("http"), address: baseUrl(["https", "http"]) }),
  ],
  { error: 'allowed is the backend "local", "kubernetes", "s3" or "http"' },
);

export type State = z.output<typeof state>;
