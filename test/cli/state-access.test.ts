import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { requireStateAccess } from "../../cli/state-access";
import { parseSite } from "../../site/load";
import { SHIPPED } from "../sites";

const home = mkdtempSync(join(tmpdir(), "state-access-"));
afterAll(() => rmSync(home, { recursive: true }));

const company = parseSite(SHIPPED.company).state;
const selfHosted = parseSite({
  ...SHIPPED.company,
  state: { ...SHIPPED.company?.state, endpoint: "https://s3.corp.example" },
}).state;

const asked = (state: typeof company, environment: NodeJS.ProcessEnv, onEc2 = false) => {
  requireStateAccess(state, { environment, home, machine: () => onEc2 });
};

test.each([
  [{}, /nothing here has credentials for it$/],
  [{ AWS_ACCESS_KEY_ID: "x" }, /AWS_SECRET_ACCESS_KEY is not set$/],
  [{ AWS_SECRET_ACCESS_KEY: "x", AWS_ACCESS_KEY_ID: "" }, /AWS_ACCESS_KEY_ID is not set$/],
])("with %j the missing variable is named, before any stack is planned", (environment, line) => {
  expect(() => asked(company, environment)).toThrow(line);
});

test("what has credentials is left to Terraform", () => {
  asked(company, { AWS_ACCESS_KEY_ID: "x", AWS_SECRET_ACCESS_KEY: "y" });
  asked(company, { AWS_PROFILE: "ops" });
  asked(company, { AWS_WEB_IDENTITY_TOKEN_FILE: "/var/run/token" });
  asked(parseSite(SHIPPED["hosts-only"]).state, {});
});

test("an AWS machine has its own credentials, which no other store accepts", () => {
  asked(company, {}, true);
  expect(() => asked(selfHosted, {}, true)).toThrow(/nothing here has credentials for it$/);
});

test("a profile file may have them", () => {
  const file = join(home, "elsewhere");
  expect(() => asked(company, { AWS_SHARED_CREDENTIALS_FILE: file })).toThrow(/nothing here has credentials for it$/);
  writeFileSync(file, "");
  asked(company, { AWS_SHARED_CREDENTIALS_FILE: file });
  mkdirSync(join(home, ".aws"));
  writeFileSync(join(home, ".aws/credentials"), "");
  asked(company, {});
});
