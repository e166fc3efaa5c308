import { rmSync } from "node:fs";
import { probe } from "../../registry/probe/probe";
import { StorageLayout } from "../../registry/storage/layout";
import { SyntheticStore } from "../registry/storage/synthetic-store";
import { type CertificateAuthority, createCertificateAuthority } from "./certificates";
import { describeWith } from "./components";
import { digestOf, multiPlatformImage } from "./images";
import { metricGroups, metricValue } from "./metric-groups";
import { leaksIn, PLANTED } from "./planted-secret";
import { type LabServer, startPushgateway } from "./prometheus";
import { type LabRegistry, startRegistry } from "./registry";
import { ISSUER, SERVICE, startTokenService, type TokenService } from "./token-service";

/** Forgejo and Harbor do not accept a password directly: they send clients to a token service. */
describeWith(
  ["registry", "pushgateway", "openssl"],
  "a registry that somebody else runs, and that wants tokens",
  () => {
    let authority: CertificateAuthority;
    let tokens: TokenService;
    let registry: LabRegistry;
    let pushgateway: LabServer;
    const image = multiPlatformImage("app");

    beforeAll(async () => {
      authority = createCertificateAuthority();
      tokens = await startTokenService(PLANTED, authority.issue(["tokens.example.org"]));
      registry = await startRegistry({
        token: { realm: tokens.url, service: SERVICE, issuer: ISSUER, rootcertbundle: authority.certificate },
      });
      pushgateway = await startPushgateway();
      new SyntheticStore(registry.root).push("team/app", image, "v1");
    });
    afterAll(async () => {
      await registry?.stop();
      await tokens?.stop();
      await pushgateway?.stop();
      authority?.remove();
    });

    const run = async (changes: NodeJS.ProcessEnv = {}) => {
      const lines: string[] = [];
      const note = (line: string): void => void lines.push(line);
      const account = { REG_USER: PLANTED.username, REG_PASS: PLANTED.password };
      const where = { REGISTRY: registry.url, REGISTRY_INSTANCE: "git.example.org", PUSHGATEWAY: pushgateway.url };
      const code = await probe({ ...where, ...account, ...changes }, note, note);
      const group = (await metricGroups(pushgateway)).find(({ labels }) => labels.instance === "git.example.org");
      if (group === undefined) throw new Error("nothing was pushed");
      const value = (name: string): number => metricValue(group, `registry_manifest_integrity_${name}`);
      return { code, said: lines.join("\n"), value };
    };

    test("is walked with a token for each repository", async () => {
      const { code, said, value } = await run();
      expect(code).toBe(0);
      expect(value("catalog_accessible")).toBe(1);
      expect(value("tags_checked")).toBe(1);
      expect(value("indexes_checked")).toBe(1);
      expect(value("failures")).toBe(0);
      expect(tokens.granted).toEqual(expect.arrayContaining(["registry:catalog:*", "repository:team/app:pull"]));
      expect(leaksIn(said)).toEqual([]);
    });

    test("that has lost a child of an index is told so", async () => {
      const [child] = image.manifests;
      if (child === undefined) throw new Error("no child");
      rmSync(new StorageLayout(registry.root).repository("team/app").revisionLink(digestOf(child)));
      const { value } = await run();
      expect(value("failures")).toBe(1);
      expect(value("walk_complete")).toBe(1);
    });

    test("that refuses the account is no broken image: what was found stands", async () => {
      const { code, said, value } = await run({ REG_PASS: "another" });
      expect(code).toBe(0);
      expect(said).toContain("no walk");
      expect([value("catalog_accessible"), value("walk_complete"), value("failures")]).toEqual([0, 0, 1]);
    });
  },
);
