import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { describeWithCdktf } from "./cdktf";
import { describeWith } from "./components";

const root = join(__dirname, "..", "..");
const output = mkdtempSync(join(tmpdir(), "cdktf-cli-"));
afterAll(() => rmSync(output, { recursive: true }));

describeWithCdktf("the pinned cdktf-cli", () =>
  describeWith(["terraform"], "with Terraform", ({ terraform }) => {
    const cdktf = (...args: string[]): string => {
      const { WARDEN_SITE: _, CDKTF_OUTDIR: __, ...environment } = process.env;
      return execFileSync(join(root, "tools/cdktf/run"), args, {
        cwd: root,
        encoding: "utf8",
        stdio: ["ignore", "pipe", "pipe"],
        env: {
          ...environment,
          TERRAFORM_BINARY_NAME: terraform.command[0],
          PATH: `${dirname(terraform.command[0])}:${environment.PATH}`,
        },
      });
    };

    test("synthesises what npm run synth does", () => {
      cdktf("synth", "--output", output);
      const direct = mkdtempSync(join(tmpdir(), "direct-"));
      try {
        execFileSync(process.execPath, ["--import", "tsx", "main.ts"], {
          cwd: root,
          env: { ...process.env, CDKTF_OUTDIR: direct },
        });
        for (const stack of ["dns", "registry-vm", "monitoring"]) {
          const file = join("stacks", stack, "cdk.tf.json");
          expect(readFileSync(join(output, file), "utf8")).toBe(readFileSync(join(direct, file), "utf8"));
        }
      } finally {
        rmSync(direct, { recursive: true });
      }
    }, 120_000);

    test("plans a stack that needs no provider", () => {
      expect(stripVTControlCharacters(cdktf("diff", "dns", "--output", output))).toMatch(
        /Plan: \d+ to add, 0 to change, 0 to destroy|No changes/,
      );
    }, 180_000);
  }),
);
