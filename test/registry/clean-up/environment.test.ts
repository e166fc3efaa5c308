import { cleanUpSettings } from "../../../registry/clean-up/environment";

const POLICY = JSON.stringify({ rules: [{ repositories: "**", keepNewest: 3 }] });
const WHOLE = {
  REGISTRY: "https://git.example.org",
  POLICY,
  JOURNALS: "/var/lib/registry-warden",
  PUSHGATEWAY: "http://pushgateway:9091",
};

test("the required variables are enough", () => {
  expect(cleanUpSettings(WHOLE)).toEqual({
    registry: new URL("https://git.example.org"),
    instance: "git.example.org",
    credentials: null,
    caFile: null,
    rate: null,
    repositories: [],
    policy: { rules: [{ repositories: "**", keepNewest: 3 }] },
    journals: "/var/lib/registry-warden",
    pushgateway: new URL("http://pushgateway:9091"),
    cluster: null,
    undo: null,
  });
});

test("every variable can be set", () => {
  const more = {
    REGISTRY_INSTANCE: "forge",
    REG_USER: "cleaner",
    REG_PASS: "secret",
    REGISTRY_CA_FILE: "/ca.pem",
    RATE: "2.5",
    REPOSITORIES: "team/app, team/tool",
    CLUSTER: "home",
    UNDO: "/journal",
  };
  expect(cleanUpSettings({ ...WHOLE, ...more })).toMatchObject({
    instance: "forge",
    credentials: { username: "cleaner", password: "secret" },
    caFile: "/ca.pem",
    rate: 2.5,
    repositories: ["team/app", "team/tool"],
    cluster: "home",
    undo: "/journal",
  });
});

test("every error is named in one line, and no secret is", () => {
  expect(() => cleanUpSettings({})).toThrow(
    "REGISTRY is not set; PUSHGATEWAY is not set; POLICY is not set; JOURNALS is not set",
  );
  expect(() => cleanUpSettings({ ...WHOLE, REG_PASS: "secret" })).toThrow(/^REG_USER is not set and the other one is$/);
});

test.each([
  ["{", /^POLICY: /],
  ["{}", /^POLICY: the policy is refused: policy\.rules is missing/],
  ['{"rules":[{"repositories":"**","keepNewest":0}]}', /^POLICY: the policy is refused: .* never loses every tag/],
])("the policy %s is refused", (policy, says) => {
  expect(() => cleanUpSettings({ ...WHOLE, POLICY: policy })).toThrow(says);
});
